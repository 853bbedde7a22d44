"""A request as it is shown."""

import shlex

from acurl._cookies import parse_cookie_string


class Request:
    """What was sent: `response.request`. Made by hand, it sends nothing; it shows itself as a curl command."""

    def __init__(self, method, url, headers=(), cookies=(), auth=None, data=None, cert=None):
        """`headers` are header lines, `cookies` are lines of a cookie file or `name=value`: tuples of bytes."""
        self.method = _bytes(method)
        self.url = url
        self.auth = auth
        self.data = data
        self.cert = cert
        self._header_lines = tuple(_text(line) for line in headers or ())
        self._cookie_pairs = tuple(_pair(_text(line)) for line in cookies or ())

    @property
    def headers(self):
        """The caller's headers, name to value; repeated ones joined by a comma."""
        headers = {}
        for line in self._header_lines:
            name, _, value = line.partition(":")
            value = value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    @property
    def cookies(self):
        """The cookies that went along, name to value."""
        return dict(self._cookie_pairs)

    def to_curl(self):
        """The same request as a command line for curl."""
        words = ["curl", "-X", _text(self.method)]
        if self.data is not None:
            # -d would read the file that an @ names
            words += ["--data-raw" if self.data[:1] in ("@", b"@") else "-d", _quoted(self.data)]
        for line in self._header_lines:
            words += ["-H", _quoted(line)]
        if self._cookie_pairs:
            words += ["--cookie", _quoted(";".join(f"{name}={value}" for name, value in self._cookie_pairs))]
        if self.auth is not None:
            words += ["--user", shlex.quote(":".join(self.auth))]
        if self.cert is not None:
            words += ["--key", shlex.quote(self.cert[0]), "--cert", shlex.quote(self.cert[1])]
        return " ".join([*words, shlex.quote(self.url)])

    def __repr__(self):
        return f"<request {_text(self.method)} {self.url}>"


def _bytes(text):
    return text.encode() if isinstance(text, str) else text


def _text(line):
    return line.decode(errors="surrogateescape") if isinstance(line, bytes) else line


def _pair(line):
    """Name and value of a cookie line, or of `name=value`."""
    if "\t" in line:
        cookie = parse_cookie_string(line)
        return cookie.name, cookie.value
    name, _, value = line.partition("=")
    return name, value


def _quoted(text):
    """Between quotes, also where the shell could do without. Bytes that are no text go as $'...'."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            return "$'" + "".join(f"\\x{byte:02x}" for byte in text) + "'"
    return "'" + text.replace("'", "'\"'\"'") + "'"
