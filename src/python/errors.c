#include "python/errors.h"

#include "base/buf.h"
#include "base/log.h"

#include <frameobject.h>

#define TEXT_MAX_BYTES (64u << 10) /* of one message, and of one stack trace */
#define GROUP_MAX      5           /* exceptions of a group that are told */

#if PY_VERSION_HEX >= 0x030c0000
PyObject *errors_take(void)
{
    return PyErr_GetRaisedException();
}

void errors_put(PyObject *exception)
{
    PyErr_SetRaisedException(exception);
}
#else
PyObject *errors_take(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* new, new, new */
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

void errors_put(PyObject *exception)
{
    PyObject *type = Py_NewRef((PyObject *)Py_TYPE(exception));
    PyErr_Restore(type, exception, PyException_GetTraceback(exception)); /* steals all three */
}
#endif

bool errors_is_cancelled(PyObject *exception)
{
    PyObject *cancelled = module_import(IMPORT_CANCELLED_ERROR);
    if (!cancelled) {
        PyErr_Clear();
        return false;
    }
    return PyErr_GivenExceptionMatches(exception, cancelled);
}

/* ---- texts ---- */

static void append_object(struct buf *out, PyObject *text, size_t max)
{
    Py_ssize_t size = 0;
    PyObject *safe = NULL;
    const char *utf8 = text ? PyUnicode_AsUTF8AndSize(text, &size) : NULL; /* borrowed from text */
    if (text && !utf8) {                                                   /* lone surrogates */
        PyErr_Clear();
        safe = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"); /* new */
        utf8 = safe ? PyBytes_AS_STRING(safe) : NULL;
        size = safe ? PyBytes_GET_SIZE(safe) : 0;
    }
    if (utf8 && (size_t)size > max) {
        size = (Py_ssize_t)max;
        while (size > 0 && (utf8[size] & 0xc0) == 0x80) { /* not in the middle of a character */
            size--;
        }
    }
    if (utf8) {
        buf_append(out, utf8, (size_t)size);
    }
    PyErr_Clear();
    Py_XDECREF(safe);
}

/* `Type: text` as the traceback module prints it: with the module of types that are not built in. */
static void append_message(struct buf *out, PyObject *exception)
{
    PyTypeObject *type = Py_TYPE(exception);
    PyObject *module = PyObject_GetAttr((PyObject *)type, state->str___module__); /* new */
    PyObject *name = PyObject_GetAttr((PyObject *)type, state->str___qualname__); /* new */
    PyObject *text = PyObject_Str(exception);                                     /* new */
    PyErr_Clear();
    if (module && PyUnicode_Check(module) && PyUnicode_CompareWithASCIIString(module, "builtins") != 0 &&
        PyUnicode_CompareWithASCIIString(module, "__main__") != 0) {
        append_object(out, module, 1000);
        buf_char(out, '.');
    }
    append_object(out, name, 1000);
    if (!text) {
        buf_text(out, ": <exception str() failed>");
    } else if (PyUnicode_GET_LENGTH(text) > 0) {
        buf_text(out, ": ");
        append_object(out, text, TEXT_MAX_BYTES);
    }
    Py_XDECREF(module);
    Py_XDECREF(name);
    Py_XDECREF(text);
}

/* ---- frames ---- */

/* The directory that holds our packages, with a slash at its end; borrowed, NULL when it cannot be told. */
static const char *package_root(void)
{
    if (!state->package_root) {
        PyObject *package = PyImport_ImportModule("mite");                                /* new */
        PyObject *file = package ? PyObject_GetAttr(package, state->str___file__) : NULL; /* new */
        Py_ssize_t end = file ? PyUnicode_GetLength(file) - (Py_ssize_t)strlen("mite/__init__.py") : -1;
        if (end > 0) {
            state->package_root = PyUnicode_Substring(file, 0, end); /* new, kept */
        }
        Py_XDECREF(package);
        Py_XDECREF(file);
    }
    const char *root = state->package_root ? PyUnicode_AsUTF8(state->package_root) : NULL;
    PyErr_Clear();
    return root;
}

/* Whose code a frame runs. mite.example is written as a user would. */
static bool is_ours(PyObject *file)
{
    static const char *const packages[] = {"mite/", "mite_http/", "acurl/"};
    const char *path = PyUnicode_AsUTF8(file), *root = package_root();
    if (!path || !root) {
        PyErr_Clear();
        return false;
    }
    size_t length = strlen(root);
    if (strncmp(path, root, length) != 0 || strcmp(path + length, "mite/example.py") == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(packages) / sizeof(packages[0]); i++) {
        if (strncmp(path + length, packages[i], strlen(packages[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_machinery(PyObject *file)
{
    const char *path = PyUnicode_AsUTF8(file);
    PyErr_Clear();
    return path && (strncmp(path, "<frozen importlib", 17) == 0 || strstr(path, "/importlib/__init__.py"));
}

static PyCodeObject *code_of(PyTracebackObject *at)
{
    return PyFrame_GetCode(at->tb_frame); /* new */
}

/* Later Pythons work the line out only when it is asked for. */
static int line_of(PyTracebackObject *at, PyCodeObject *code)
{
    return at->tb_lineno > 0 ? at->tb_lineno : PyCode_Addr2Line(code, at->tb_lasti);
}

static bool frame_is_ours(PyTracebackObject *at)
{
    PyCodeObject *code = code_of(at);
    bool ours = is_ours(code->co_filename);
    Py_DECREF(code);
    return ours;
}

/* `  File "F", line N, in F` and the line itself, as the traceback module writes them. */
static void append_frame(struct buf *out, PyCodeObject *code, int number, bool with_line)
{
    buf_text(out, "  File \"");
    append_object(out, code->co_filename, 4096);
    buf_printf(out, "\", line %d, in ", number);
    append_object(out, code->co_name, 1000);
    buf_char(out, '\n');

    PyObject *getline = with_line ? module_import(IMPORT_GETLINE) : NULL;
    PyObject *line = getline ? PyObject_CallFunction(getline, "Oi", code->co_filename, number) : NULL; /* new */
    PyObject *stripped = line ? PyObject_CallMethod(line, "strip", NULL) : NULL;                       /* new */
    PyErr_Clear();
    if (stripped && PyUnicode_Check(stripped) && PyUnicode_GET_LENGTH(stripped) > 0) {
        buf_text(out, "    ");
        append_object(out, stripped, 1000);
        buf_char(out, '\n');
    }
    Py_XDECREF(line);
    Py_XDECREF(stripped);
}

static void append_location(struct buf *out, PyCodeObject *code, int number)
{
    append_object(out, code->co_filename, 4096);
    buf_printf(out, ":%d:", number);
    append_object(out, code->co_name, 1000);
}

/* The user's frames; all of them when there is none of the user's. */
static void append_stack(struct buf *out, PyTracebackObject *first, bool theirs, bool with_lines)
{
    size_t begin = out->size;
    for (PyTracebackObject *at = first; at && out->size - begin < TEXT_MAX_BYTES; at = at->tb_next) {
        if (!theirs || !frame_is_ours(at)) {
            PyCodeObject *code = code_of(at);
            append_frame(out, code, line_of(at, code), with_lines);
            Py_DECREF(code);
        }
    }
}

/* The frames of an exception, of its cause when it has none itself: so it is with a StopIteration that leaves a
 * coroutine, which Python turns into a RuntimeError. New reference or NULL. */
static PyTracebackObject *frames_of(PyObject *exception)
{
    PyObject *traceback = PyException_GetTraceback(exception);            /* new */
    PyObject *cause = traceback ? NULL : PyException_GetCause(exception); /* new */
    if (cause) {
        traceback = PyException_GetTraceback(cause);
        Py_DECREF(cause);
    }
    return (PyTracebackObject *)traceback;
}

/* The user's innermost frame, the innermost of all when there is none; *theirs tells. Borrowed, may be NULL. */
static PyTracebackObject *find_innermost(PyTracebackObject *first, bool *theirs)
{
    PyTracebackObject *innermost = NULL;
    *theirs = false;
    for (PyTracebackObject *at = first; at; at = at->tb_next) {
        if (!frame_is_ours(at)) {
            innermost = at;
            *theirs = true;
        } else if (!*theirs) {
            innermost = at;
        }
    }
    return innermost;
}

/* A file that finds no memory to be kept in would be read anew for each line: milliseconds for each of many. */
static bool shows_lines(PyObject *exception)
{
    return !PyErr_GivenExceptionMatches(exception, PyExc_MemoryError);
}

/* What the exceptions of a group were, and where: the group itself says no more than how many. */
static void append_group(struct buf *out, PyObject *exception, size_t begin)
{
#if PY_VERSION_HEX >= 0x030b0000
    if (!PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_BaseExceptionGroup)) {
        return;
    }
    PyObject *members = PyObject_GetAttr(exception, state->str_exceptions); /* new: a tuple */
    Py_ssize_t count = members && PyTuple_Check(members) ? PyTuple_GET_SIZE(members) : 0;
    PyErr_Clear();
    for (Py_ssize_t i = 0; i < count && i < GROUP_MAX && out->size - begin < TEXT_MAX_BYTES; i++) {
        PyObject *member = PyTuple_GET_ITEM(members, i); /* borrowed */
        PyTracebackObject *first = frames_of(member);    /* new */
        bool theirs;
        find_innermost(first, &theirs);
        buf_text(out, "  with ");
        append_message(out, member);
        buf_char(out, '\n');
        append_stack(out, first, theirs, shows_lines(member));
        append_group(out, member, begin);
        Py_XDECREF(first);
    }
    if (count > GROUP_MAX) {
        buf_printf(out, "  and %zd more\n", count - GROUP_MAX);
    }
    Py_XDECREF(members);
#endif
}

/* Location and stack, one behind the other. Returns where the stack begins. */
static size_t append_place(struct buf *text, PyObject *exception, PyCodeObject *written)
{
    PyTracebackObject *first = frames_of(exception); /* new */
    bool theirs;
    PyTracebackObject *innermost = find_innermost(first, &theirs);
    PyCodeObject *code = innermost ? code_of(innermost) : NULL; /* new */
    bool with_lines = shows_lines(exception);
    size_t stack;

    if (!theirs && written) {
        append_location(text, written, written->co_firstlineno);
        stack = text->size;
        append_frame(text, written, written->co_firstlineno, with_lines);
    } else {
        if (innermost) {
            append_location(text, code, line_of(innermost, code));
        }
        stack = text->size;
        append_stack(text, first, theirs, with_lines);
        append_group(text, exception, stack);
    }
    Py_XDECREF(code);
    Py_XDECREF(first);
    return stack;
}

static struct str between(const struct buf *text, size_t begin, size_t end)
{
    return (struct str){text->data + begin, end - begin};
}

void errors_describe(PyObject *exception, PyObject *code, struct buf *text, struct message_failure *out)
{
    size_t message = text->size;
    append_message(text, exception);
    size_t name = text->size;
    buf_text(text, Py_TYPE(exception)->tp_name);
    size_t location = text->size;
    size_t stack = append_place(text, exception, (PyCodeObject *)code);

    *out = (struct message_failure){STR(""), STR(""), STR(""), STR("")};
    if (!text->failed) {
        struct str type = between(text, name, location);
        const char *dot = memrchr(type.p, '.', type.n); /* the name of a static type has its module in front */
        out->message = between(text, message, name);
        out->ex_type = dot ? (struct str){dot + 1, (size_t)(type.p + type.n - dot - 1)} : type;
        out->location = between(text, location, stack);
        out->stacktrace = between(text, stack, text->size);
    }
}

/* ---- Python → C ---- */

/* Cuts the frames before the user's first one (ours, and the import system's) off the front. */
static void trim_front(PyObject *exception)
{
    PyObject *traceback = PyException_GetTraceback(exception); /* new */
    PyTracebackObject *at = (PyTracebackObject *)traceback;
    while (at) {
        PyCodeObject *code = code_of(at);
        bool skip = is_ours(code->co_filename) || is_machinery(code->co_filename);
        Py_DECREF(code);
        if (!skip) {
            break;
        }
        at = at->tb_next;
    }
    PyException_SetTraceback(exception, at ? (PyObject *)at : Py_None);
    Py_XDECREF(traceback);
}

static void set_detail(struct mite_error *error, PyObject *exception)
{
    PyObject *format = module_import(IMPORT_FORMAT_EXCEPTION);
    PyObject *lines = format ? PyObject_CallOneArg(format, exception) : NULL; /* new */
    bool more = lines && PyList_Check(lines) && PyList_GET_SIZE(lines) > 1;   /* else it is the sentence again */
    PyObject *empty = more ? PyUnicode_FromString("") : NULL;                 /* new */
    PyObject *text = empty ? PyUnicode_Join(empty, lines) : NULL;             /* new */
    struct buf out;
    buf_init(&out, 0);
    append_object(&out, text, TEXT_MAX_BYTES);
    while (out.size > 0 && out.data[out.size - 1] == '\n') {
        out.size--;
    }
    if (out.size > 0) {
        error_detail(error, out.data, out.size);
    }
    PyErr_Clear();
    buf_done(&out);
    Py_XDECREF(text);
    Py_XDECREF(empty);
    Py_XDECREF(lines);
}

/* What mite._host knows about how such an exception comes about: ": ..." behind the sentence, or nothing. */
static void append_hint(struct buf *out, PyObject *exception)
{
    if (!PyErr_GivenExceptionMatches(exception, PyExc_OSError)) {
        return;
    }
    PyObject *hint = module_import(IMPORT_HINT);                         /* borrowed */
    PyObject *text = hint ? PyObject_CallOneArg(hint, exception) : NULL; /* new */
    append_object(out, text, 1000);
    Py_XDECREF(text);
}

/* A sentence is one line: of a message with several, the first. */
static struct str first_line(const struct buf *text)
{
    struct str line = buf_view(text);
    const char *end = memchr(line.p, '\n', line.n);
    return end ? (struct str){line.p, (size_t)(end - line.p)} : line;
}

int errors_to_c(struct mite_error *error, const char *format, ...)
{
    PyObject *exception = errors_take(); /* new */
    struct buf sentence, text;
    va_list args;

    buf_init(&sentence, 0);
    buf_init(&text, 0);
    va_start(args, format);
    buf_vprintf(&sentence, format, args);
    va_end(args);
    append_message(&text, exception);
    text.size = first_line(&text).n;
    append_hint(&text, exception);
    error_set(error, MITE_EUSER, STR_FMT ": " STR_FMT, STR_ARG(buf_view(&sentence)), STR_ARG(buf_view(&text)));
    if (error) {
        trim_front(exception);
        set_detail(error, exception);
    }
    buf_done(&text);
    buf_done(&sentence);
    Py_DECREF(exception);
    return MITE_EUSER;
}

void errors_log_once(const char *kind, const char *format, ...)
{
    PyObject *exception = errors_take(); /* new */
    struct message_failure failure;
    struct buf sentence, text;
    va_list args;

    buf_init(&sentence, 0);
    buf_init(&text, 0);
    va_start(args, format);
    buf_vprintf(&sentence, format, args);
    va_end(args);
    errors_describe(exception, NULL, &text, &failure);
    log_once(LOG_ERROR, kind, STR_FMT ": " STR_FMT " (" STR_FMT ")", STR_ARG(buf_view(&sentence)),
             STR_ARG(failure.message), STR_ARG(failure.location));
    buf_done(&text);
    buf_done(&sentence);
    Py_DECREF(exception);
}

/* ---- C → Python ---- */

PyObject *errors_to_python(const struct mite_error *error)
{
    PyObject *type = PyExc_RuntimeError;
    switch (error->code) {
    case MITE_ENOMEM:
        return PyErr_NoMemory();
    case MITE_EINVAL:
    case MITE_EPROTO:
    case MITE_ELIMIT:
        type = PyExc_ValueError;
        break;
    case MITE_EIO:
    case MITE_ENOTFOUND:
        type = PyExc_OSError;
        break;
    case MITE_ETIMEDOUT:
        type = PyExc_TimeoutError;
        break;
    default:
        break;
    }
    PyErr_SetString(type, error->text);
    return NULL;
}
