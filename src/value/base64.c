#include "value/base64.h"

void base64_encode(struct buf *out, struct str bytes)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = bytes.n - i < 3 ? bytes.n - i : 3;
        unsigned char p[3] = {0};

        memcpy(p, bytes.p + i, n);

        char four[4] = {letters[p[0] >> 2], letters[(p[0] & 3) << 4 | p[1] >> 4],
                        n > 1 ? letters[(p[1] & 15) << 2 | p[2] >> 6] : '=', n > 2 ? letters[p[2] & 63] : '='};

        buf_append(out, four, sizeof(four));
    }
}

/* The six bits of a letter, 64 for anything else. */
static unsigned bits_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? (unsigned)(c - 'A')
           : c >= 'a' && c <= 'z' ? (unsigned)(c - 'a') + 26
           : c >= '0' && c <= '9' ? (unsigned)(c - '0') + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : 64;
}

bool base64_decode(struct str text, char *out, size_t *size)
{
    size_t n = 0;

    if (text.n % 4) {
        return false;
    }
    for (size_t i = 0; i < text.n; i += 4) {
        const char *four = text.p + i;
        bool last = i + 4 == text.n;
        unsigned pad = last && four[3] == '=' ? four[2] == '=' ? 2 : 1 : 0, bits = 0;

        for (unsigned j = 0; j < 4; j++) {
            unsigned six = j < 4 - pad ? bits_of(four[j]) : 0;

            if (six > 63) {
                return false;
            }
            bits = bits << 6 | six;
        }
        for (unsigned j = 0; j < 3 - pad; j++) {
            out[n++] = (char)(bits >> (16 - 8 * j));
        }
    }
    *size = n;
    return true;
}
