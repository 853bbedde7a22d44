#include "base/error.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef error_set /* what static analysis sees of them elsewhere */
#undef error_errno

/* Takes off a character that the end of the room has cut, or the whole would be no UTF-8 any more. */
static void drop_cut_character(char *text, size_t length)
{
    size_t start = length;

    while (start > 0 && length - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) {
        struct str last = {text + start - 1, length - start + 1};
        if (str_utf8_length(last) == 0) {
            text[start - 1] = '\0';
        }
    }
}

int error_set(struct mite_error *error, int code, const char *format, ...)
{
    va_list args;

    if (error) {
        va_start(args, format);
        if (vsnprintf(error->text, sizeof(error->text), format, args) >= (int)sizeof(error->text)) {
            drop_cut_character(error->text, sizeof(error->text) - 1);
        }
        va_end(args);
        error->code = code;
    }
    return code;
}

int error_errno(struct mite_error *error, int errno_value, const char *format, ...)
{
    int code = errno_value == ENOENT ? MITE_ENOTFOUND : errno_value == ENOMEM ? MITE_ENOMEM : MITE_EIO;
    char what[sizeof(error->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return error_set(error, code, "%s: %s", what, strerror(errno_value));
}

int error_prefix(struct mite_error *error, const char *format, ...)
{
    char old[sizeof(error->text)], prefix[sizeof(error->text)];
    va_list args;

    if (!error) {
        return MITE_EINVAL;
    }
    memcpy(old, error->text, sizeof(old));
    va_start(args, format);
    vsnprintf(prefix, sizeof(prefix), format, args);
    va_end(args);
    return error_set(error, error->code, "%s: %s", prefix, old);
}

void error_detail(struct mite_error *error, const char *lines, size_t length)
{
    if (error) {
        free(error->detail);
        error->detail = lines ? strndup(lines, length) : NULL;
    }
}

void error_done(struct mite_error *error)
{
    free(error->detail);
    *error = (struct mite_error){0};
}
