#include "runner/native_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "runner/native_visit.h"

#include <unistd.h>

/* A line made in signal context: without memory, without printf. */
struct line {
    char text[512];
    size_t size;
};

/* A process that was stopped, or found no processor, is looked at once when it goes on. Nobody's code did that. */
#define LOOKS 3

static bool told;      /* of this blockade; more than once says nothing new */
static unsigned looks; /* at code outside of journeys, in this blockade */

static void add(struct line *line, const char *text, size_t n)
{
    n = n < sizeof line->text - line->size ? n : sizeof line->text - line->size;
    memcpy(line->text + line->size, text, n);
    line->size += n;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

static void add_number(struct line *line, uint64_t number)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[sizeof digits - ++n] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    add(line, digits + sizeof digits - n, n);
}

/* What the interpreter runs is told of by its own host. */
static void blocked(void *arg, uint64_t blocked_ns)
{
    const struct fiber *fiber = fiber_current();
    const struct mite_context *ctx = fiber ? fiber_arg(fiber) : NULL;
    const struct context *context = ctx ? ctx->context : context_running();
    struct line line = {.size = 0};

    if (told || (!ctx && (watchdog_probed() || ++looks < LOOKS))) {
        return;
    }
    told = true;
    add_text(&line, context ? "WARNING journey \"" : "WARNING code outside of any journey");
    add_text(&line, context ? context->journey_name : "");
    add_text(&line, context ? "\" has blocked the loop for " : " has blocked the loop for ");
    add_number(&line, blocked_ns / NS_PER_S);
    add_text(&line, ".");
    add_number(&line, blocked_ns / (NS_PER_S / 10) % 10);
    add_text(&line, " s");
    if (ctx && ctx->file) {
        add_text(&line, " after its call at ");
        add_text(&line, ctx->file);
        add_text(&line, ":");
        add_number(&line, (uint64_t)ctx->line);
    }
    add_text(&line, ": nothing else runs meanwhile\n");
    (void)!write(STDERR_FILENO, line.text, line.size);
}

static void recovered(void *arg, uint64_t blocked_ns)
{
    if (told) {
        log_line(LOG_WARNING, "the loop runs again after %.1f s", ns_to_s(blocked_ns));
    }
    told = false;
    looks = 0;
}

const struct watchdog_hooks native_watch_hooks = {.blocked = blocked, .recovered = recovered};
