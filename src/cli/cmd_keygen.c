/* `mite keygen`: keys for components that talk over a network. */
#include "bus/curve.h"
#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/options.h"

#include <stdio.h>

int cmd_keygen(const struct options *options)
{
    const char *dir = options->positional[0];
    struct mite_error error = {0};
    int rc = curve_generate(dir, &error);

    if (rc < 0) {
        complain("mite", &error);
        error_done(&error);
        return rc == MITE_EINVAL ? EXIT_USAGE : EXIT_BROKE;
    }
    printf("%s/server.key, server.pub, client.key, client.pub\n"
           "who listens:   --curve-key=%s/server.key --curve-allow=DIR, with client.pub in DIR\n"
           "who connects:  --curve-key=%s/client.key --curve-server-key=%s/server.pub\n"
           "The .key files are secret: each machine gets its own one only.\n",
           dir, dir, dir, dir);
    return EXIT_GOOD;
}
