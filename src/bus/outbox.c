/*
 * Design notes
 *
 * The queue is a chain of blocks of messages, because the library's messages may not be moved about in memory. As long
 * as the queue is empty and nothing is put off, messages pass it by. What a connection takes with it when it goes down
 * cannot be known: at most what the library may hold for a peer and the system's buffers, and not more than was sent
 * since the last loss.
 */
#include "bus/outbox.h"

#include "base/clock.h"
#include "bus/peek.h"
#include "engine/timer.h"

#include <stdlib.h>

#define HIGH_WATER       500
#define BLOCK_MESSAGES   128
#define TURN_MESSAGES    1024                       /* handed over in one turn */
#define MESSAGE_OVERHEAD sizeof(struct bus_message) /* what one costs besides its bytes */
#define SYSTEM_BUFFERS   (UINT64_C(4) << 20)        /* bytes: what a connection may hold, Linux's default for TCP */
#define RETRY_NS         (10 * NS_PER_MS)           /* after a failure of the library's own */
#define TYPE_MAX         64                         /* bytes of a type's name; longer ones are told apart no more */
#define OTHER_TYPES      "other"

struct block {
    struct block *next;
    unsigned first, count; /* of the slots: the first that is left, and one behind the last */
    struct bus_message slots[BLOCK_MESSAGES];
};

struct dropped_type {
    char *name; /* owned */
    uint64_t count;
};

struct outbox {
    struct bus *bus;
    struct bus_socket *socket;
    struct outbox_options options;
    struct block *head, *tail; /* owned */
    bool blocked;              /* the socket took nothing more */
    bool dropping;             /* since the queue was last empty */
    struct timer timer;        /* the next turn of handing over */
    bool waiting;              /* for the timer */
    uint64_t sent_at_loss;     /* counts.sent when a connection was last lost */
    struct sender_counts counts;
    struct dropped_type types[SENDER_TYPES_MAX + 1]; /* the last one is for all others */
    size_t type_count;
    void (*emptied)(void *arg);
    void *emptied_arg;
    bool hasty; /* somebody waits for the queue to be empty: put nothing off */
};

/* ---- drops ---- */

static struct dropped_type *type_of(struct outbox *outbox, struct str name)
{
    for (size_t i = 0; i < outbox->type_count; i++) {
        if (str_is(name, outbox->types[i].name)) {
            return &outbox->types[i];
        }
    }
    bool room = outbox->type_count < SENDER_TYPES_MAX;
    if (!room && !str_is(name, OTHER_TYPES)) {
        return type_of(outbox, STR(OTHER_TYPES));
    }
    struct dropped_type *made = &outbox->types[outbox->type_count];
    made->name = str_copy(name);
    if (!made->name) {
        return NULL;
    }
    outbox->type_count++;
    return made;
}

/* What may be kept as a C string, and shown on a terminal. */
static bool is_plain(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f) {
            return false;
        }
    }
    return name.p && name.n <= TYPE_MAX;
}

void outbox_drop(struct outbox *outbox, struct str type)
{
    struct dropped_type *counted = type_of(outbox, is_plain(type) ? type : STR(OTHER_TYPES));

    outbox->counts.dropped++;
    if (counted) {
        counted->count++;
    }
    if (!outbox->dropping) {
        outbox->dropping = true;
        if (outbox->options.dropping) {
            outbox->options.dropping(outbox->options.arg);
        }
    }
}

static void drop(struct outbox *outbox, struct bus_message *message)
{
    outbox_drop(outbox, peek_type(bus_message_bytes(outbox->bus, message)));
    bus_message_release(outbox->bus, message);
}

/* ---- the queue ---- */

static bool enqueue(struct outbox *outbox, struct bus_message *message, uint64_t size)
{
    if (outbox->counts.queued_bytes + size > outbox->options.max_bytes) {
        return false;
    }
    if (!outbox->tail || outbox->tail->count == BLOCK_MESSAGES) {
        struct block *block = malloc(sizeof *block);
        if (!block) {
            return false;
        }
        block->next = NULL;
        block->first = block->count = 0;
        *(outbox->tail ? &outbox->tail->next : &outbox->head) = block;
        outbox->tail = block;
    }
    bus_message_move(outbox->bus, message, &outbox->tail->slots[outbox->tail->count++]);
    outbox->counts.queued++;
    outbox->counts.queued_bytes += size;
    return true;
}

/* Behind the first message, which has been sent or released. */
static void dequeue(struct outbox *outbox, uint64_t size)
{
    struct block *block = outbox->head;

    outbox->counts.queued--;
    outbox->counts.queued_bytes -= size;
    if (++block->first < block->count) {
        return;
    }
    if (block->next) {
        outbox->head = block->next;
        free(block);
    } else {
        block->first = block->count = 0; /* kept for the next ones */
    }
}

static uint64_t size_of(struct outbox *outbox, struct bus_message *message)
{
    return bus_message_bytes(outbox->bus, message).n + MESSAGE_OVERHEAD;
}

/* ---- handing over ---- */

/* Somebody has to make room, or to come, before the next message can go: flush() follows then. */
static bool is_stuck(const struct outbox *outbox)
{
    return outbox->blocked || (outbox->options.needs_peer && socket_peers(outbox->socket) == 0);
}

static bool hand_over(struct outbox *outbox, struct bus_message *message, uint64_t size)
{
    if (is_stuck(outbox)) {
        return false;
    }
    int rc = socket_send_message(outbox->socket, message);
    if (rc != 0) {
        outbox->blocked = rc == MITE_EAGAIN;
        return false;
    }
    outbox->counts.sent++;
    outbox->counts.sent_bytes += size - MESSAGE_OVERHEAD;
    return true;
}

static void wait_for(struct outbox *outbox, uint64_t after_ns)
{
    if (!outbox->waiting) {
        outbox->waiting = true;
        timer_start(&outbox->timer, after_ns, 0);
    }
}

static void flush(struct outbox *outbox)
{
    for (unsigned budget = TURN_MESSAGES; outbox->counts.queued > 0; budget--) {
        struct bus_message *message = &outbox->head->slots[outbox->head->first];
        uint64_t size = size_of(outbox, message);

        if (budget == 0) {
            wait_for(outbox, 1);
            return;
        }
        if (!hand_over(outbox, message, size)) {
            if (!is_stuck(outbox)) {
                wait_for(outbox, RETRY_NS);
            }
            return;
        }
        dequeue(outbox, size);
    }
    outbox->dropping = false;
    if (outbox->emptied) {
        void (*emptied)(void *arg) = outbox->emptied;
        outbox->emptied = NULL;
        emptied(outbox->emptied_arg);
    }
}

static void on_timer(struct timer *timer)
{
    struct outbox *outbox = (struct outbox *)((char *)timer - offsetof(struct outbox, timer));

    outbox->waiting = false;
    flush(outbox);
}

static void on_writable(void *arg)
{
    struct outbox *outbox = arg;

    outbox->blocked = false;
    if (!outbox->waiting) {
        flush(outbox);
    }
}

void outbox_put(struct outbox *outbox, struct bus_message *message)
{
    uint64_t size = size_of(outbox, message);
    bool at_once = outbox->counts.queued == 0 && (outbox->options.delay_ns == 0 || outbox->hasty);

    if (at_once && hand_over(outbox, message, size)) {
        return;
    }
    if (!enqueue(outbox, message, size)) {
        drop(outbox, message);
    } else if (!is_stuck(outbox)) {
        wait_for(outbox, outbox->hasty ? 1 : outbox->options.delay_ns);
    }
}

void outbox_put_bytes(struct outbox *outbox, struct str bytes)
{
    struct bus_message message;

    if (bus_message_copy(outbox->bus, bytes, &message) == 0) {
        outbox_put(outbox, &message);
    } else {
        outbox_drop(outbox, peek_type(bytes));
    }
}

void outbox_when_empty(struct outbox *outbox, void (*done)(void *arg), void *arg)
{
    outbox->emptied = done;
    outbox->emptied_arg = arg;
    outbox->hasty = done != NULL;
    if (done) {
        timer_stop(&outbox->timer);
        outbox->waiting = false;
        flush(outbox);
    }
}

/* ---- connections and counts ---- */

static void on_connection(void *arg, bool up, const char *address)
{
    struct outbox *outbox = arg;

    if (up) {
        if (!outbox->waiting) {
            flush(outbox);
        }
        return;
    }
    uint64_t since = outbox->counts.sent - outbox->sent_at_loss;
    uint64_t average = outbox->counts.sent ? outbox->counts.sent_bytes / outbox->counts.sent + 1 : 1;
    uint64_t high_water = (uint64_t)outbox->options.high_water, held = high_water + SYSTEM_BUFFERS / average;
    outbox->counts.at_risk += since < held ? since : held;
    outbox->sent_at_loss = outbox->counts.sent;
}

void outbox_count(const struct outbox *outbox, struct sender_counts *out)
{
    *out = outbox->counts;
    out->queued_bytes -= out->queued * MESSAGE_OVERHEAD;
}

void outbox_each_dropped(const struct outbox *outbox, void (*each)(void *arg, struct str type, uint64_t count),
                         void *arg)
{
    for (size_t i = 0; i < outbox->type_count; i++) {
        each(arg, str_of(outbox->types[i].name), outbox->types[i].count);
    }
}

/* ---- life ---- */

int outbox_open(struct bus *bus, const struct outbox_options *options, struct outbox **out, struct mite_error *error)
{
    struct outbox *outbox = calloc(1, sizeof *outbox);
    const struct socket_options socket = {
        .kind = SOCKET_PUSH,
        .high_water = options->high_water ? options->high_water : HIGH_WATER,
        .writable = on_writable,
        .connection = on_connection,
        .arg = outbox,
    };

    if (!outbox) {
        return error_set(error, MITE_ENOMEM, "no memory for a queue of messages");
    }
    outbox->bus = bus;
    outbox->options = *options;
    if (outbox->options.max_bytes == 0) {
        outbox->options.max_bytes = SENDER_BUFFER_MAX;
    }
    outbox->options.high_water = socket.high_water;
    int rc = socket_open(bus, &socket, &outbox->socket, error);
    if (rc < 0) {
        free(outbox);
        return rc;
    }
    timer_init(&outbox->timer, bus_loop(bus), on_timer);
    *out = outbox;
    return 0;
}

int outbox_bind(struct outbox *outbox, const char *address, struct mite_error *error)
{
    return socket_bind(outbox->socket, address, error);
}

int outbox_connect(struct outbox *outbox, const char *address, struct mite_error *error)
{
    return socket_connect(outbox->socket, address, error);
}

const char *outbox_address(const struct outbox *outbox)
{
    return socket_address(outbox->socket);
}

static void on_timer_closed(struct timer *timer)
{
    free((char *)timer - offsetof(struct outbox, timer));
}

void outbox_close(struct outbox *outbox)
{
    if (!outbox) {
        return;
    }
    while (outbox->counts.queued > 0) {
        struct bus_message *message = &outbox->head->slots[outbox->head->first];
        uint64_t size = size_of(outbox, message);

        bus_message_release(outbox->bus, message);
        dequeue(outbox, size);
    }
    free(outbox->head);
    for (size_t i = 0; i < outbox->type_count; i++) {
        free(outbox->types[i].name);
    }
    socket_close(outbox->socket);
    timer_close(&outbox->timer, on_timer_closed);
}
