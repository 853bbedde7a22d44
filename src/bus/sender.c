#include "bus/sender.h"

#include "base/clock.h"
#include "bus/outbox.h"

#include <stdlib.h>

/* Messages of this long go out together. */
#define DELAY_NS (2 * NS_PER_MS)

struct sender {
    struct sink sink;
    struct outbox *outbox; /* owned */
    struct buf scratch;    /* the message that is being written */
};

static void on_message(struct sink *sink, const struct message *message)
{
    struct sender *sender = (struct sender *)sink;

    buf_clear(&sender->scratch);
    message_write(&sender->scratch, message);
    if (sender->scratch.failed) {
        outbox_drop(sender->outbox, message->type);
    } else {
        outbox_put_bytes(sender->outbox, buf_view(&sender->scratch));
    }
}

static void on_free(struct sink *sink)
{
    sender_free((struct sender *)sink);
}

static const struct sink_ops ops = {.name = "sender", .message = on_message, .free = on_free};

int sender_new(struct bus *bus, const char *address, bool bind, uint64_t max_bytes, struct sender **out,
               struct mite_error *error)
{
    struct sender *sender = calloc(1, sizeof *sender);

    if (!sender) {
        return error_set(error, MITE_ENOMEM, "no memory for a sender");
    }
    sender->sink.ops = &ops;
    buf_init(&sender->scratch, BUS_MESSAGE_MAX);
    const struct outbox_options options = {.max_bytes = max_bytes, .delay_ns = DELAY_NS, .needs_peer = !bind};
    int rc = outbox_open(bus, &options, &sender->outbox, error);
    if (rc == 0) {
        rc = bind ? outbox_bind(sender->outbox, address, error) : outbox_connect(sender->outbox, address, error);
    }
    if (rc < 0) {
        sender_free(sender);
        return rc;
    }
    *out = sender;
    return 0;
}

const char *sender_address(const struct sender *sender)
{
    return outbox_address(sender->outbox);
}

struct sink *sender_sink(struct sender *sender)
{
    return &sender->sink;
}

void sender_raw(struct sender *sender, struct str bytes)
{
    outbox_put_bytes(sender->outbox, bytes);
}

void sender_count(const struct sender *sender, struct sender_counts *out)
{
    outbox_count(sender->outbox, out);
}

void sender_each_dropped(const struct sender *sender, void (*each)(void *arg, struct str type, uint64_t count),
                         void *arg)
{
    outbox_each_dropped(sender->outbox, each, arg);
}

void sender_when_flushed(struct sender *sender, void (*done)(void *arg), void *arg)
{
    outbox_when_empty(sender->outbox, done, arg);
}

void sender_free(struct sender *sender)
{
    if (sender) {
        outbox_close(sender->outbox);
        buf_done(&sender->scratch);
        free(sender);
    }
}
