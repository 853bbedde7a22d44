#include "worker/directed.h"

#include <stdlib.h>

struct directed_model {
    struct volume_model base;
    int64_t wanted;
};

static int at(struct volume_model *model, int64_t start_s, int64_t end_s, int64_t *wanted, struct mite_error *error)
{
    *wanted = ((struct directed_model *)model)->wanted;
    return 0;
}

static void model_free(struct volume_model *model)
{
    free(model);
}

static const struct volume_model_ops directed_ops = {.at = at, .free = model_free};

struct volume_model *directed_model_new(void)
{
    struct directed_model *model = calloc(1, sizeof *model);

    if (!model) {
        return NULL;
    }
    model->base = (struct volume_model){.ops = &directed_ops, .duration_s = -1, .max_starts = -1};
    return &model->base;
}

void directed_model_want(struct volume_model *model, int64_t wanted)
{
    ((struct directed_model *)model)->wanted = wanted;
}
