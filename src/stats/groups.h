/*
 * A set of groups (transactions, kinds of error...), each known by up to three texts, at most `max` of them: whatever
 * comes later shares one that is called "other". Made for the path of every message: a small table in front remembers
 * where a key was found, so that looking up a known group compares bytes and neither hashes a long text nor allocates.
 *
 * A group is a struct of its owner's that begins with a struct group. Keys are copied, cut at GROUP_KEY_MAX bytes each,
 * so that nobody's endless transaction name fills the memory.
 */
#pragma once

#include "base/map.h"

#define GROUP_PARTS       3
#define GROUP_KEY_MAX     512
#define GROUPS_MAX        1000
#define GROUPS_REMEMBERED 256

struct group {
    struct str part[GROUP_PARTS]; /* owned copies; p NULL where the key had none */
    bool is_other;
};

struct groups {
    struct map by_key;
    struct group **items; /* owned, in order of appearance, without other */
    size_t count, max;
    struct group *other; /* owned; empty until a group too many came */
    bool other_used;
    size_t item_size;
    void (*init)(struct group *group);
    void (*done)(struct group *group);
    struct group *remembered[GROUPS_REMEMBERED]; /* borrowed from items */
};

/* `item_size`: of the owner's struct. `init` is called on each new, zeroed item, `done` before it is freed.
 * MITE_ENOMEM. */
int groups_init(struct groups *groups, size_t max, size_t item_size, void (*init)(struct group *group),
                void (*done)(struct group *group));
void groups_done(struct groups *groups);

/* The group of this key, made when there is none yet; `other` when there is no room or no memory for it. Never NULL. */
void *groups_find(struct groups *groups, struct str first, struct str second, struct str third);

/* A part as people read it: "other" for the group of that name, "" for none. */
static inline struct str group_name(const struct group *group, size_t part)
{
    return group->is_other ? STR("other") : group->part[part].p ? group->part[part] : STR("");
}

/* For walking: count of items and, behind them, "other" when it was used. */
size_t groups_count(const struct groups *groups);
void *groups_at(const struct groups *groups, size_t index);
