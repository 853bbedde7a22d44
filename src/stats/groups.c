/*
 * Design notes. `by_key` holds a group under its parts joined by zero bytes, each behind a byte that tells none from
 * empty. `remembered` is a direct-mapped table in front of it: its index mixes lengths and last bytes of the parts,
 * where the names of a test's transactions differ; what it points to is compared in full, so a wrong guess costs time,
 * never a count. A key that was cut is found in by_key each time.
 */
#include "stats/groups.h"

#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>

/* The length and the last eight bytes, without a loop: a shorter text is in it as a whole. */
static uint64_t tail(struct str s)
{
    uint64_t word = 0;
    uint32_t halves[2];
    if (s.n >= sizeof word) {
        memcpy(&word, s.p + s.n - sizeof word, sizeof word);
    } else if (s.n >= sizeof halves[0]) {
        memcpy(&halves[0], s.p, sizeof halves[0]);
        memcpy(&halves[1], s.p + s.n - sizeof halves[1], sizeof halves[1]);
        word = (uint64_t)halves[0] << 32 | halves[1];
    } else if (s.n > 0) {
        word = (uint64_t)(unsigned char)s.p[0] << 16 | (uint64_t)(unsigned char)s.p[s.n / 2] << 8 |
               (unsigned char)s.p[s.n - 1];
    }
    return word ^ s.n << 56;
}

/* None and empty look alike here. */
static size_t remembered_slot(struct str first, struct str second, struct str third)
{
    uint64_t mix = tail(first) * UINT64_C(0x9e3779b97f4a7c15) ^ tail(second) * UINT64_C(0xc2b2ae3d27d4eb4f) ^
                   tail(third) * UINT64_C(0x165667b19e3779f9);
    return (mix ^ mix >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (GROUPS_REMEMBERED - 1);
}

static inline bool same_part(struct str a, struct str b)
{
    return a.n == b.n && (a.p == b.p || (a.n > 0 ? memcmp(a.p, b.p, a.n) == 0 : a.p && b.p));
}

static struct str join(char *out, const struct str part[GROUP_PARTS])
{
    char *end = out;
    for (size_t i = 0; i < GROUP_PARTS; i++) {
        *end++ = part[i].p ? 'S' : 'N';
        if (part[i].n > 0) {
            end = mempcpy(end, part[i].p, part[i].n);
        }
        *end++ = '\0';
    }
    return (struct str){out, (size_t)(end - out)};
}

static struct group *group_new(struct groups *groups)
{
    struct group *group = calloc(1, groups->item_size);
    if (group && groups->init) {
        groups->init(group);
    }
    return group;
}

static void group_free(struct groups *groups, struct group *group)
{
    if (!group) {
        return;
    }
    if (groups->done) {
        groups->done(group);
    }
    for (size_t i = 0; i < GROUP_PARTS; i++) {
        free((char *)group->part[i].p);
    }
    free(group);
}

static bool copy_key(struct group *group, const struct str part[GROUP_PARTS])
{
    for (size_t i = 0; i < GROUP_PARTS; i++) {
        if (!part[i].p) {
            continue;
        }
        group->part[i] = (struct str){str_copy(part[i]), part[i].n};
        if (!group->part[i].p) {
            group->part[i].n = 0;
            return false;
        }
    }
    return true;
}

/* NULL: no room or no memory. */
static struct group *add(struct groups *groups, struct str key, const struct str part[GROUP_PARTS])
{
    if (groups->count >= groups->max) {
        return NULL;
    }
    struct group *group = group_new(groups);
    if (!group || !copy_key(group, part) || map_set(&groups->by_key, key, group, NULL) != 0) {
        group_free(groups, group);
        return NULL;
    }
    groups->items[groups->count++] = group;
    return group;
}

int groups_init(struct groups *groups, size_t max, size_t item_size, void (*init)(struct group *group),
                void (*done)(struct group *group))
{
    *groups = (struct groups){.max = max, .item_size = item_size, .init = init, .done = done};
    map_init(&groups->by_key);
    groups->items = calloc(max, sizeof *groups->items);
    groups->other = group_new(groups);
    if (!groups->items || !groups->other) {
        groups_done(groups);
        return MITE_ENOMEM;
    }
    groups->other->is_other = true;
    return 0;
}

void groups_done(struct groups *groups)
{
    while (groups->items && groups->count > 0) {
        group_free(groups, groups->items[--groups->count]);
    }
    group_free(groups, groups->other);
    free(groups->items);
    map_done(&groups->by_key, NULL);
    *groups = (struct groups){0};
}

static struct group *look_up(struct groups *groups, size_t slot, struct str part[GROUP_PARTS])
{
    for (size_t i = 0; i < GROUP_PARTS; i++) {
        part[i].n = part[i].n < GROUP_KEY_MAX ? part[i].n : GROUP_KEY_MAX;
    }
    char buffer[GROUP_PARTS * (GROUP_KEY_MAX + 2)];
    struct str key = join(buffer, part);
    struct group *group = map_get(&groups->by_key, key);
    if (!group) {
        group = add(groups, key, part);
    }
    if (!group) {
        groups->other_used = true;
        return groups->other;
    }
    groups->remembered[slot] = group;
    return group;
}

void *groups_find(struct groups *groups, struct str first, struct str second, struct str third)
{
    size_t slot = remembered_slot(first, second, third);
    struct group *group = groups->remembered[slot];
    if (group && same_part(group->part[0], first) && same_part(group->part[1], second) &&
        same_part(group->part[2], third)) {
        return group;
    }
    return look_up(groups, slot, (struct str[GROUP_PARTS]){first, second, third});
}

size_t groups_count(const struct groups *groups)
{
    return groups->count + groups->other_used;
}

void *groups_at(const struct groups *groups, size_t index)
{
    return index < groups->count ? groups->items[index] : groups->other;
}
