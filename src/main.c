/* The program: everything it does is in libmite. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return mite_main(argc, argv);
}
