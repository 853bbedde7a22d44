"""A dict whose keys are header names."""


class CaseInsensitiveDict(dict):
    """A dict with text keys in any case; they are kept in lower case."""

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.update(*args, **kwargs)

    def __getitem__(self, key, /):
        return super().__getitem__(key.lower())

    def __setitem__(self, key, value, /):
        super().__setitem__(key.lower(), value)

    def __delitem__(self, key, /):
        super().__delitem__(key.lower())

    def __contains__(self, key, /):
        return isinstance(key, str) and super().__contains__(key.lower())

    def __eq__(self, other):
        if isinstance(other, dict) and not isinstance(other, CaseInsensitiveDict):
            other = CaseInsensitiveDict(other)
        return super().__eq__(other)

    def __ne__(self, other):
        return not self == other

    __hash__ = None

    def __or__(self, other):
        result = self.copy()
        result.update(other)
        return result

    def __ior__(self, other):
        self.update(other)
        return self

    def get(self, key, default=None, /):
        return super().get(key.lower(), default)

    def pop(self, key, /, *default):
        return super().pop(key.lower(), *default)

    def setdefault(self, key, default=None, /):
        return super().setdefault(key.lower(), default)

    def update(self, *args, **kwargs):
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def copy(self):
        return type(self)(self)

    @classmethod
    def fromkeys(cls, keys, value=None, /):
        return cls(dict.fromkeys(keys, value))

    def __repr__(self):
        return f"{type(self).__name__}({super().__repr__()})"
