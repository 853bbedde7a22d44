"""Cookies as a session takes them, and as cookie files write them."""

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

_HTTP_ONLY = "#HttpOnly_"


@dataclass(frozen=True)
class Cookie:
    """One cookie. Given to a request or a session, it goes to its own domain, whatever the URL."""

    domain: str
    name: str
    value: str
    http_only: bool = False
    include_subdomains: bool = True
    path: str = "/"
    is_secure: bool = False
    expiration: int = 0
    """Seconds since the epoch; 0: it lives as long as its session."""

    def __post_init__(self):
        for field in ("domain", "name", "value", "path"):
            text = getattr(self, field)
            if not isinstance(text, str):
                raise ValueError(f"a cookie's {field} must be str, not {type(text).__name__}")
            if not set(text).isdisjoint("\t\r\n"):
                raise ValueError(f"a cookie's {field} cannot hold tabs or line breaks: {text!r}")

    @property
    def has_expired(self):
        return self.expiration != 0 and self.expiration <= time.time()

    def format(self):
        """A line of a Netscape cookie file, as bytes."""
        fields = (
            self.domain,
            "TRUE" if self.include_subdomains else "FALSE",
            self.path,
            "TRUE" if self.is_secure else "FALSE",
            str(self.expiration),
            self.name,
            self.value,
        )
        return ((_HTTP_ONLY if self.http_only else "") + "\t".join(fields)).encode()


def parse_cookie_string(line):
    """The cookie in a line of a Netscape cookie file (str or bytes)."""
    text = line.decode() if isinstance(line, bytes) else line
    http_only = text.startswith(_HTTP_ONLY)
    fields = text.rstrip("\r\n").removeprefix(_HTTP_ONLY).split("\t")
    if len(fields) != 7:
        raise ValueError(f"a cookie line has 7 fields between tabs, this one has {len(fields)}: {text!r}")
    domain, subdomains, path, secure, expiration, name, value = fields
    return Cookie(
        domain=domain,
        name=name,
        value=value,
        http_only=http_only,
        include_subdomains=subdomains == "TRUE",
        path=path,
        is_secure=secure == "TRUE",
        expiration=int(expiration),
    )


def session_cookie_for_url(
    url, name, value, http_only=False, include_subdomains=True, is_secure=False, include_url_path=False
):
    """A cookie for the host of `url` that lives as long as its session. A Cookie as the value is taken as it is."""
    if isinstance(value, Cookie):
        return value
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"a cookie needs a URL with a host, not {url!r}")
    return Cookie(
        domain=parts.hostname,
        name=name,
        value=value,
        http_only=http_only,
        include_subdomains=include_subdomains,
        path=(parts.path or "/") if include_url_path else "/",
        is_secure=is_secure,
    )
