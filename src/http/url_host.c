/* Hosts of URLs: names (also beyond ASCII), IPv4 addresses in all the spellings of old, IPv6 addresses. */
#include "http/url.h"

#include <arpa/inet.h>
#include <idn2.h>

/* ---- addresses ---- */

static const char *append_ipv6(struct str digits, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];

    if (digits.n >= sizeof text) {
        return "its host is no IPv6 address";
    }
    memcpy(text, digits.p, digits.n);
    text[digits.n] = '\0';
    if (strlen(text) != digits.n || inet_pton(AF_INET6, text, bytes) != 1) {
        return "its host is no IPv6 address";
    }
    inet_ntop(AF_INET6, bytes, text, sizeof text);
    buf_printf(out, "[%s]", text);
    return NULL;
}

/* 127, 0x7f or 0177. False when it is none of these, or above 2^32. */
static bool parse_number(struct str text, uint64_t *out)
{
    int base = 10;

    if (text.n >= 2 && text.p[0] == '0') {
        base = (text.p[1] | 32) == 'x' ? 16 : 8;
        text.p += base == 16 ? 2 : 1;
        text.n -= base == 16 ? 2 : 1;
    } else if (text.n == 0) {
        return false;
    }
    *out = 0;
    for (size_t i = 0; i < text.n; i++) {
        int digit = str_hex_digit(text.p[i]);
        if (digit < 0 || digit >= base || *out > UINT32_MAX) {
            return false;
        }
        *out = *out * (unsigned)base + (unsigned)digit;
    }
    return true;
}

/* Takes the last label off, with the dot in front of it. */
static struct str cut_last(struct str *name)
{
    const char *dot = memrchr(name->p, '.', name->n);
    struct str last = *name;

    if (dot) {
        last = (struct str){dot + 1, (size_t)(name->p + name->n - dot - 1)};
        name->n = (size_t)(dot - name->p);
    } else {
        name->n = 0;
    }
    return last;
}

static struct str without_last_dot(struct str name)
{
    name.n -= name.n > 1 && name.p[name.n - 1] == '.';
    return name;
}

/* A name whose last label is a number is an address, or nothing. */
static bool ends_in_number(struct str name)
{
    struct str rest = without_last_dot(name), last = cut_last(&rest);
    bool digits = last.n > 0;
    uint64_t number;

    for (size_t i = 0; i < last.n; i++) {
        digits &= last.p[i] >= '0' && last.p[i] <= '9';
    }
    return digits || (last.n >= 2 && (last.p[1] | 32) == 'x' && parse_number(last, &number));
}

/* The last of up to four numbers fills the bytes that the others leave. */
static const char *append_ipv4(struct str name, struct buf *out)
{
    struct str rest = without_last_dot(name);
    uint64_t numbers[4], address = 0;
    int count = 0;

    while (rest.n > 0 || count == 0) {
        if (count == 4 || !parse_number(cut_last(&rest), &numbers[count])) {
            return "its host is no IPv4 address";
        }
        count++;
    }
    if (*name.p == '.' || numbers[0] >= UINT64_C(1) << 8 * (5 - count)) {
        return "its host is no IPv4 address";
    }
    for (int i = count - 1; i > 0; i--) {
        if (numbers[i] > 255) {
            return "its host is no IPv4 address";
        }
        address = address << 8 | numbers[i];
    }
    address = address << 8 * (5 - count) | numbers[0];
    buf_printf(out, "%u.%u.%u.%u", (unsigned)(address >> 24), (unsigned)(address >> 16 & 255),
               (unsigned)(address >> 8 & 255), (unsigned)(address & 255));
    return NULL;
}

/* ---- names ---- */

/* The standard's forbidden ones, and those that libcurl refuses besides. */
static bool is_name_char(unsigned char c)
{
    return c > ' ' && c < 0x7f && !strchr("#/:<>?@[\\]^|%!{}$'\"`*=;,+&()", c);
}

/* A name beyond ASCII in ASCII (Unicode TR46). */
static bool to_ascii(struct buf *name)
{
    char *ascii = NULL;
    int rc = idn2_to_ascii_8z(name->data, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

    if (rc == IDN2_OK) {
        buf_clear(name);
        buf_text(name, ascii);
    }
    name->failed |= rc == IDN2_MALLOC;
    idn2_free(ascii);
    return rc == IDN2_OK;
}

static const char *append_name(struct buf *name, struct buf *out)
{
    bool beyond_ascii = false;

    for (size_t i = 0; i < name->size; i++) {
        beyond_ascii |= (unsigned char)name->data[i] >= 0x80;
    }
    if (memchr(name->data, '\0', name->size) || (beyond_ascii && !to_ascii(name))) {
        return "its host is no valid name";
    }
    for (size_t i = 0; i < name->size; i++) {
        char *c = &name->data[i];
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 32) : *c;
        if (!is_name_char((unsigned char)*c)) {
            return "its host is no valid name";
        }
    }
    if (name->size == 0 || (name->size == 1 && name->data[0] == '.')) {
        return "it names no host";
    }
    if (ends_in_number(buf_view(name))) {
        return append_ipv4(buf_view(name), out);
    }
    buf_str(out, buf_view(name));
    return NULL;
}

const char *url_host_append(struct str host, struct buf *out)
{
    struct buf name;

    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        return append_ipv6((struct str){host.p + 1, host.n - 2}, out);
    }
    if (host.n == 0) {
        return "it names no host";
    }
    buf_init(&name, 0);
    url_decode(host, &name);
    const char *why = name.failed ? NULL : append_name(&name, out);
    out->failed |= name.failed;
    buf_done(&name);
    return why;
}
