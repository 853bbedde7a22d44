/*
 * Design notes
 *
 * Modules are found with _dl_find_object(), which takes no lock: dladdr() would wait for ever when the crash was inside
 * the dynamic loader. Functions and lines come from addr2line, run once a module; it reads the debug information that
 * journeys are compiled with. Where it is not installed only modules and offsets are shown, which it takes elsewhere.
 */
#include "engine/crash_trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

/* ---- noting ---- */

static uintptr_t interrupted_at(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#endif
}

/* Who called the code that was interrupted, had that only just been called. */
static uintptr_t caller_at(const ucontext_t *context)
{
#if defined(__x86_64__)
    return *(const uintptr_t *)context->uc_mcontext.gregs[REG_RSP] - 1;
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.regs[30] - 1;
#endif
}

struct walk {
    struct trace *trace;
    bool begun; /* past the handler's own frames */
};

/* What a signal interrupted is the first frame that stands in an instruction, not behind a call. */
static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    struct trace *trace = walk->trace;
    int exact = 0;
    uintptr_t at = _Unwind_GetIPInfo(context, &exact);

    walk->begun |= exact;
    if (walk->begun && at != 0) {
        trace->frames[trace->count++] = (const void *)(exact ? at : at - 1);
    }
    return trace->count < TRACE_FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

void trace_note(struct trace *trace, const void *context)
{
    struct walk walk = {.trace = trace};

    trace->count = 0;
    _Unwind_Backtrace(on_frame, &walk);
    if (trace->count == 0 && context) { /* it jumped where no code is */
        trace->frames[trace->count++] = (const void *)interrupted_at(context);
        uintptr_t caller = caller_at(context);
        trace->frames[trace->count++] = (const void *)caller;
    }
}

/* ---- modules ---- */

/* The file that the address lies in, and where in it; NULL: in none, "": in the program's own. */
static const char *module_of(const void *frame, uintptr_t *offset)
{
    struct dl_find_object found;

    if (_dl_find_object((void *)frame, &found) != 0) {
        return NULL;
    }
    *offset = (uintptr_t)frame - found.dlfo_link_map->l_addr;
    return found.dlfo_link_map->l_name;
}

static const char *short_name(const char *module)
{
    const char *slash = strrchr(module, '/');

    return slash ? slash + 1 : module[0] ? module : program_invocation_short_name;
}

/* Text that is cut where its room ends. snprintf is no part of what POSIX calls signal-safe; glibc's allocates nothing
 * and takes no lock for these formats. */
struct text {
    char *to;
    size_t bytes, length;
};

static __attribute__((format(printf, 2, 3))) void text_add(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text->to + text->length, text->bytes - text->length, format, args);
    va_end(args);
    text->length += n < 0 ? 0 : (size_t)n;
    if (text->length >= text->bytes) {
        text->length = text->bytes - 1;
    }
}

size_t trace_write_raw(const struct trace *trace, char *out, size_t bytes)
{
    struct text text = {out, bytes, 0};

    out[0] = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uintptr_t offset = 0;
        const char *module = module_of(trace->frames[i], &offset);
        if (module) {
            text_add(&text, "%s%s+0x%lx", i ? " " : "", short_name(module), (unsigned long)offset);
        } else {
            text_add(&text, "%s0x%lx", i ? " " : "", (unsigned long)trace->frames[i]);
        }
    }
    return text.length;
}

/* ---- names ---- */

struct frame_name {
    const char *module; /* NULL: none */
    uintptr_t offset;
    char function[128], place[256]; /* place: FILE:LINE; "": not known */
    char inlined_in[512];           /* further lines of the trace: what the compiler made one function of */
    /* The innermost of those functions that is not from mite.h; "": none, or not known. */
    char users_function[128], users_place[256];
};

/* What addr2line says for some frames of one module, which it takes as arguments; -1: it cannot be run. */
static pid_t start_addr2line(char *const arguments[], int *out_fd)
{
    int ends[2];

    if (pipe(ends) < 0) {
        return -1;
    }
    pid_t child = _Fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        close(STDERR_FILENO);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -1;
    }
    *out_fd = ends[0];
    return child;
}

static size_t read_all(int fd, char *out, size_t bytes)
{
    size_t length = 0;
    ssize_t n;

    while (length < bytes - 1 && (n = read(fd, out + length, bytes - 1 - length)) != 0) {
        if (n > 0) {
            length += (size_t)n;
        } else if (errno != EINTR) {
            break;
        }
    }
    out[length] = 0;
    return length;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* A name or place without what addr2line puts behind it; "" for one that says that nothing is known. */
static void take(char *line, char *out, size_t bytes)
{
    line[strcspn(line, " ")] = 0; /* " (discriminator 2)" */
    out[0] = 0;
    if (line[0] != '?' && !strstr(line, ":?") && !strstr(line, "??:0")) {
        snprintf(out, bytes, "%s", line);
    }
}

/* MITE_JOURNEY(browse) makes a function of a longer name. */
static char *as_written(char *function)
{
    static const char prefix[] = "mite_journey_";

    return begins_with(function, prefix) ? function + sizeof prefix - 1 : function;
}

static bool is_from_mite_h(const char *place)
{
    return strstr(place, "/mite/mite.h:") != NULL;
}

/* One address of its output: lines of function and place in turn, the innermost function first. */
static void take_frame(char **rest, struct frame_name *name)
{
    struct text inlined_in = {name->inlined_in, sizeof name->inlined_in, 0};
    char *function, *place, outer_function[sizeof name->function], outer_place[sizeof name->place];

    for (int depth = 0; *rest && **rest && strncmp(*rest, "0x", 2) != 0; depth++) {
        function = strsep(rest, "\n");
        place = strsep(rest, "\n");
        if (!place) {
            return;
        }
        take(as_written(function), outer_function, sizeof outer_function);
        take(place, outer_place, sizeof outer_place);
        if (depth == 0) {
            memcpy(name->function, outer_function, sizeof name->function);
            memcpy(name->place, outer_place, sizeof name->place);
        } else {
            text_add(&inlined_in, "  in %s %s\n", outer_function, outer_place);
        }
        if (!name->users_place[0] && !is_from_mite_h(outer_place)) {
            memcpy(name->users_function, outer_function, sizeof name->users_function);
            memcpy(name->users_place, outer_place, sizeof name->users_place);
        }
    }
}

/* Names all frames of the module that the frame `first` is in. */
static void name_module(struct frame_name *names, size_t count, size_t first)
{
    static char output[64u << 10], offsets[TRACE_FRAMES][20], module[4096];
    char *arguments[TRACE_FRAMES + 8] = {"addr2line", "-a", "-i", "-f", "-C", "-e", module};
    size_t n = 7, asked[TRACE_FRAMES], asked_count = 0;
    int fd;

    snprintf(module, sizeof module, "%s", names[first].module);
    if (!module[0]) {
        ssize_t length = readlink("/proc/self/exe", module, sizeof module - 1);
        module[length < 0 ? 0 : length] = 0;
    }
    for (size_t i = first; i < count; i++) {
        if (names[i].module && strcmp(names[i].module, names[first].module) == 0) {
            snprintf(offsets[asked_count], sizeof offsets[0], "0x%lx", (unsigned long)names[i].offset);
            arguments[n++] = offsets[asked_count];
            asked[asked_count++] = i;
        }
    }
    pid_t child = start_addr2line(arguments, &fd);
    if (child < 0) {
        return;
    }
    read_all(fd, output, sizeof output);
    close(fd);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    char *rest = output;
    for (size_t i = 0; i < asked_count && strsep(&rest, "\n"); i++) { /* behind the address */
        take_frame(&rest, &names[asked[i]]);
    }
}

static bool seen_before(const struct frame_name *names, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (names[i].module && strcmp(names[i].module, names[index].module) == 0) {
            return true;
        }
    }
    return false;
}

/* Without debug information the function is only the nearest one that has a name. */
static void write_frame(struct text *text, const struct frame_name *name, const void *frame)
{
    if (!name->module) {
        text_add(text, "  at 0x%lx\n", (unsigned long)frame);
    } else if (name->place[0]) {
        text_add(text, "  at %s %s\n%s", name->function, name->place, name->inlined_in);
    } else {
        text_add(text, "  at %s+0x%lx%s%s\n", short_name(name->module), (unsigned long)name->offset,
                 name->function[0] ? ", near " : "", name->function);
    }
}

/* Neither abort() and its like nor what called the journey is where it happened. */
static bool is_users(const struct trace *trace, const struct frame_name *name)
{
    const char *module = name->module ? short_name(name->module) : "";

    if (trace->own_program && name->module && !name->module[0]) {
        return false;
    }
    return name->users_place[0] && !begins_with(module, "libc.so") && !begins_with(module, "libmite") &&
           !begins_with(module, "_mite");
}

void trace_write(const struct trace *trace, char *out, size_t bytes, char *location, size_t location_bytes)
{
    static struct frame_name names[TRACE_FRAMES];
    struct text text = {out, bytes, 0};

    out[0] = location[0] = 0;
    for (size_t i = 0; i < trace->count; i++) {
        names[i].module = module_of(trace->frames[i], &names[i].offset);
    }
    for (size_t i = 0, same; i < trace->count; i += same) {
        if (names[i].module && !seen_before(names, i)) {
            name_module(names, trace->count, i);
        }
        for (same = 1; i + same < trace->count && trace->frames[i + same] == trace->frames[i]; same++) {
        }
        write_frame(&text, &names[i], trace->frames[i]);
        if (same > 1) {
            text_add(&text, "  ... %zu times\n", same);
        }
        if (!location[0] && is_users(trace, &names[i])) {
            snprintf(location, location_bytes, "%s:%s", names[i].users_place, names[i].users_function);
        }
    }
}
