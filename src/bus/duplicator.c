#include "bus/duplicator.h"

#include "base/clock.h"
#include "bus/outbox.h"
#include "bus/quiet.h"
#include "value/json.h"
#include "value/msgpack.h"

#include <stdio.h>
#include <stdlib.h>

#define REPORT_NS   NS_PER_S
#define REPORT_TYPE "messages_dropped"
/* Messages in the library's hands, in and out: enough for its threads to work while ours sleeps, and the other way. */
#define IN_HIGH_WATER  4000
#define OUT_HIGH_WATER 2000
#define DUMP_MAX       (1u << 20) /* bytes of a message that is shown */

struct output {
    struct duplicator *duplicator;
    struct outbox *outbox; /* owned */
    bool told;             /* that it drops */
    struct reported {
        char name[65];
        uint64_t count;
    } reported[SENDER_TYPES_MAX + 1]; /* by type: what was told already */
    size_t reported_count;
};

struct duplicator {
    struct bus *bus;
    struct bus_socket *in;
    struct output *outputs; /* owned */
    size_t output_count;
    struct duplicator_options options;
    struct timer report;
    struct quiet quiet;
    uint64_t received;
    size_t full; /* outputs that are not empty yet */
    void (*done)(void *arg);
    void *done_arg;
    uint64_t dump; /* messages still to be shown */
    unsigned open_timers;
};

/* ---- showing ---- */

static void show(struct str bytes)
{
    struct arena arena;
    struct value value;
    struct buf line;
    size_t used;

    arena_init(&arena, 16 * (size_t)DUMP_MAX);
    buf_init(&line, 2 * DUMP_MAX);
    if (msgpack_read(&arena, bytes, &used, &value, NULL) != 0 || used != bytes.n) {
        value = value_bytes((struct str){bytes.p, bytes.n < DUMP_MAX ? bytes.n : DUMP_MAX});
    }
    json_write(&line, &value);
    fprintf(stderr, STR_FMT "\n", STR_ARG(buf_view(&line)));
    buf_done(&line);
    arena_done(&arena);
}

void duplicator_dump(struct duplicator *duplicator, uint64_t count)
{
    duplicator->dump = count;
}

/* ---- messages ---- */

static void on_message(void *arg, struct bus_message *message)
{
    struct duplicator *duplicator = arg;

    duplicator->received++;
    if (duplicator->dump > 0) {
        duplicator->dump--;
        show(bus_message_bytes(duplicator->bus, message));
    }
    for (size_t i = 0; i < duplicator->output_count; i++) {
        struct outbox *outbox = duplicator->outputs[i].outbox;
        struct bus_message shared;

        if (bus_message_share(duplicator->bus, message, &shared) == 0) {
            outbox_put(outbox, &shared);
        } else {
            outbox_drop(outbox, STR_NONE);
        }
    }
}

/* ---- what was dropped ---- */

static struct reported *reported_of(struct output *output, struct str type)
{
    for (size_t i = 0; i < output->reported_count; i++) {
        if (str_is(type, output->reported[i].name)) {
            return &output->reported[i];
        }
    }
    struct reported *made = &output->reported[output->reported_count++];
    snprintf(made->name, sizeof made->name, STR_FMT, STR_ARG(type));
    return made;
}

struct tally {
    struct output *output;
    struct buf *out; /* NULL: only count */
    uint32_t types;
};

static void tally_type(void *arg, struct str type, uint64_t count)
{
    struct tally *tally = arg;
    struct reported *reported = reported_of(tally->output, type);

    if (count == reported->count || str_is(type, REPORT_TYPE)) {
        return; /* a report that found no room is no reason for another one */
    }
    tally->types++;
    if (tally->out) {
        msgpack_write_text(tally->out, type);
        msgpack_write_int(tally->out, (int64_t)(count - reported->count));
        reported->count = count;
    }
}

static uint32_t new_drops(struct output *output)
{
    struct tally tally = {.output = output};

    outbox_each_dropped(output->outbox, tally_type, &tally);
    return tally.types;
}

static void write_report(struct buf *out, struct output *output, uint32_t types)
{
    struct tally tally = {.output = output, .out = out};

    msgpack_write_map(out, 5);
    msgpack_write_text(out, STR("type"));
    msgpack_write_text(out, STR(REPORT_TYPE));
    msgpack_write_text(out, STR("time"));
    msgpack_write_float(out, clock_wall_s());
    msgpack_write_text(out, STR("component"));
    msgpack_write_text(out, STR("duplicator"));
    msgpack_write_text(out, STR("output"));
    msgpack_write_text(out, str_of(outbox_address(output->outbox)));
    msgpack_write_text(out, STR("dropped"));
    msgpack_write_map(out, types);
    outbox_each_dropped(output->outbox, tally_type, &tally);
}

static void report(struct output *output, uint32_t types)
{
    struct duplicator *duplicator = output->duplicator;
    struct buf bytes;

    buf_init(&bytes, 0);
    write_report(&bytes, output, types);
    for (size_t i = 0; i < duplicator->output_count && !bytes.failed; i++) {
        outbox_put_bytes(duplicator->outputs[i].outbox, buf_view(&bytes));
    }
    buf_done(&bytes);
}

/* Runs as long as something is dropped. */
static void on_report(struct timer *timer)
{
    struct duplicator *duplicator = (struct duplicator *)((char *)timer - offsetof(struct duplicator, report));
    bool any = false;

    for (size_t i = 0; i < duplicator->output_count; i++) {
        uint32_t types = new_drops(&duplicator->outputs[i]);

        if (types > 0) {
            report(&duplicator->outputs[i], types);
            any = true;
        }
    }
    if (!any) {
        timer_stop(timer);
    }
}

static void on_dropping(void *arg)
{
    struct output *output = arg;
    struct duplicator *duplicator = output->duplicator;

    if (!uv_is_active((uv_handle_t *)&duplicator->report.handle)) {
        timer_start(&duplicator->report, REPORT_NS, REPORT_NS);
    }
    if (!output->told) {
        output->told = true;
        if (duplicator->options.dropping) {
            duplicator->options.dropping(duplicator->options.arg, outbox_address(output->outbox));
        }
    }
}

/* ---- stopping ---- */

static void on_emptied(void *arg)
{
    struct duplicator *duplicator = arg;

    if (--duplicator->full == 0) {
        duplicator->done(duplicator->done_arg);
    }
}

static void close_input(void *arg)
{
    struct duplicator *duplicator = arg;

    socket_close(duplicator->in);
    duplicator->in = NULL;
    duplicator->full = duplicator->output_count;
    for (size_t i = 0; i < duplicator->output_count; i++) {
        outbox_when_empty(duplicator->outputs[i].outbox, on_emptied, duplicator);
    }
}

void duplicator_stop(struct duplicator *duplicator, void (*done)(void *arg), void *arg)
{
    duplicator->done = done;
    duplicator->done_arg = arg;
    quiet_wait(&duplicator->quiet, &duplicator->received, close_input, duplicator);
}

/* ---- life ---- */

static int open_output(struct duplicator *duplicator, const char *address, struct mite_error *error)
{
    struct output *output = &duplicator->outputs[duplicator->output_count];
    struct outbox_options options = {
        .max_bytes = duplicator->options.max_bytes,
        .high_water = OUT_HIGH_WATER,
        .dropping = on_dropping,
        .arg = output,
    };

    output->duplicator = duplicator;
    int rc = outbox_open(duplicator->bus, &options, &output->outbox, error);
    if (rc == 0) {
        duplicator->output_count++;
        rc = outbox_bind(output->outbox, address, error);
    }
    return rc;
}

static int open_sockets(struct duplicator *duplicator, struct mite_error *error)
{
    const struct socket_options in = {
        .kind = SOCKET_PULL,
        .high_water = IN_HIGH_WATER,
        .received_message = on_message,
        .arg = duplicator,
    };
    int rc = socket_open(duplicator->bus, &in, &duplicator->in, error);

    for (size_t i = 0; rc == 0 && i < duplicator->options.output_count; i++) {
        rc = open_output(duplicator, duplicator->options.outputs[i], error);
    }
    return rc == 0 ? socket_bind(duplicator->in, duplicator->options.in, error) : rc;
}

int duplicator_open(struct bus *bus, const struct duplicator_options *options, struct duplicator **out,
                    struct mite_error *error)
{
    struct duplicator *duplicator = calloc(1, sizeof *duplicator);

    if (!duplicator || !(duplicator->outputs = calloc(options->output_count, sizeof *duplicator->outputs))) {
        free(duplicator);
        return error_set(error, MITE_ENOMEM, "no memory for a duplicator");
    }
    duplicator->bus = bus;
    duplicator->options = *options;
    timer_init(&duplicator->report, bus_loop(bus), on_report);
    quiet_init(&duplicator->quiet, bus_loop(bus));
    duplicator->open_timers = 2;
    int rc = open_sockets(duplicator, error);
    if (rc < 0) {
        duplicator_close(duplicator);
        return rc;
    }
    *out = duplicator;
    return 0;
}

static void timer_closed(struct duplicator *duplicator)
{
    if (--duplicator->open_timers == 0) {
        free(duplicator);
    }
}

static void on_report_closed(struct timer *timer)
{
    timer_closed((struct duplicator *)((char *)timer - offsetof(struct duplicator, report)));
}

static void on_quiet_closed(struct timer *timer)
{
    timer_closed((struct duplicator *)((char *)timer - offsetof(struct duplicator, quiet.timer)));
}

void duplicator_close(struct duplicator *duplicator)
{
    if (!duplicator) {
        return;
    }
    socket_close(duplicator->in);
    for (size_t i = 0; i < duplicator->output_count; i++) {
        outbox_close(duplicator->outputs[i].outbox);
    }
    free(duplicator->outputs);
    timer_close(&duplicator->report, on_report_closed);
    timer_close(&duplicator->quiet.timer, on_quiet_closed);
}

const char *duplicator_in(const struct duplicator *duplicator)
{
    return socket_address(duplicator->in);
}

size_t duplicator_output_count(const struct duplicator *duplicator)
{
    return duplicator->output_count;
}

const char *duplicator_output(const struct duplicator *duplicator, size_t index)
{
    return outbox_address(duplicator->outputs[index].outbox);
}

void duplicator_count(const struct duplicator *duplicator, size_t index, struct sender_counts *out)
{
    outbox_count(duplicator->outputs[index].outbox, out);
}

void duplicator_each_dropped(const struct duplicator *duplicator, size_t index,
                             void (*each)(void *arg, struct str type, uint64_t count), void *arg)
{
    outbox_each_dropped(duplicator->outputs[index].outbox, each, arg);
}
