#include "cli/complain.h"

#include <stdio.h>
#include <string.h>

void complain(const char *who, const struct mite_error *error)
{
    fprintf(stderr, "%s: %s\n", who, error->text);
    if (error->detail) {
        size_t n = strlen(error->detail);
        fprintf(stderr, "%s%s", error->detail, n && error->detail[n - 1] == '\n' ? "" : "\n");
    }
}
