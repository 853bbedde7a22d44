/* What went wrong, for the user: on stderr. */
#pragma once

#include "base/error.h"

/* "WHO: SENTENCE", with the user's traceback below it when there is one. */
void complain(const char *who, const struct mite_error *error);
