/*
 * The files of src/cli/templates, which `mite init` writes: arrays that end with a name of NULL.
 */
#pragma once

struct template_file {
    const char *name;
    const char *text; /* @INCLUDE@ and @PACKAGES@ stand for where mite's header and its Python packages lie */
};

extern const struct template_file templates_c[];
extern const struct template_file templates_python[];
