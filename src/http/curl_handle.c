#include "base/clock.h"
#include "http/curl.h"
#include "http/h1_parse.h"
#include "http/header_lines.h"

#include <limits.h>
#include <stdlib.h>

/* ---- what comes from the server ---- */

static bool starts_response(const char *line, size_t n)
{
    return n > 5 && memcmp(line, "HTTP/", 5) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void look_for_cookies(struct http_transfer *transfer, const char *line, size_t length)
{
    if (length > 10 && line[3] == '-' && str_equal_nocase((struct str){line, 10}, STR("Set-Cookie"))) {
        transfer->sets_cookies = true;
    }
}

/* A line that continues the one before, with one blank between; returns where its text begins. */
static char *unfold(struct buf *head, char *line, size_t *length)
{
    head->size -= 2;
    while (head->size > 0 && is_blank(head->data[head->size - 1])) {
        head->size--;
    }
    for (; *length > 1 && is_blank(line[1]); --*length) {
        line++;
    }
    return line;
}

/* An interim response (100, 103) is followed by another status line, which begins anew. */
static size_t on_odd_line(struct http_transfer *transfer, char *line, size_t n)
{
    struct buf *head = &transfer->head;
    size_t length = n;

    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) {
        length--;
    }
    if (transfer->head_ended) {
        if (!starts_response(line, length)) {
            return n;
        }
        buf_clear(head);
        transfer->head_ended = false;
    }
    if (length == 0) {
        transfer->head_ended = true;
        return n;
    }
    if (is_blank(*line) && head->size > 2) {
        line = unfold(head, line, &length);
    }
    look_for_cookies(transfer, line, length);
    transfer->head_too_large = head->size + length + 2 > head->max_size;
    buf_append(head, line, length);
    return buf_append(head, "\r\n", 2) == 0 && !head->failed ? n : 0;
}

/* One line at a time, its end included. */
static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct http_transfer *transfer = arg;
    struct buf *head = &transfer->head;
    bool odd = transfer->head_ended || n < 3 || line[n - 1] != '\n' || line[n - 2] != '\r' || line[n - 3] == '\r' ||
               is_blank(*line);

    if (odd) {
        return on_odd_line(transfer, line, n);
    }
    look_for_cookies(transfer, line, n - 2);
    int rc = buf_append(head, line, n);
    transfer->head_too_large = rc == MITE_ELIMIT;
    return rc == 0 ? n : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_transfer *transfer = arg;
    int rc = buf_append(&transfer->body, bytes, n);

    transfer->too_large = rc == MITE_ELIMIT;
    return rc == 0 ? n : 0;
}

/* ---- life ---- */

static void init_buffers(struct http_transfer *transfer)
{
    for (size_t i = 0; i < TEXTS; i++) {
        buf_init(&transfer->set.text[i], 0);
    }
    buf_init(&transfer->set.header_lines, 0);
    buf_init(&transfer->head, H1_HEAD_MAX);
    buf_init(&transfer->body, SIZE_MAX / 4);
    buf_init(&transfer->headers.text, 0);
}

struct http_transfer *curl_handle_new(struct curl_transport *transport)
{
    struct http_transfer *transfer = calloc(1, sizeof *transfer);

    if (transfer) {
        transfer->transport = transport;
        init_buffers(transfer);
    }
    return transfer;
}

CURL *curl_handle_model(const struct curl_transport *transport)
{
    CURL *easy = curl_easy_init();

    if (!easy) {
        return NULL;
    }
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, curl_loop_open_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, curl_loop_close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transport);
    if (transport->old_version) {
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    }
    curl_easy_setopt(easy, CURLOPT_CAINFO, transport->ca_file);
    curl_easy_setopt(easy, CURLOPT_PROXY, transport->proxied ? NULL : ""); /* NULL: look into the environment */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can decode; see header_list_fill() */
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a cancelled transfer does not wait for its resolver thread */
    return easy;
}

/* What is not copied with the model, and what differs from handle to handle. */
static int open_easy(struct http_transfer *transfer)
{
    struct curl_transport *transport = transfer->transport;
    CURL *easy = curl_easy_duphandle(transport->model);

    if (!easy) {
        return MITE_ENOMEM;
    }
    transfer->easy = easy;
    transfer->set.texts = 0;
    transfer->set.headers = false;
    transfer->set.shape = SHAPE_GET;
    transfer->set.verify = true;
    transfer->set.timeout_ns = transfer->set.connect_timeout_ns = 0;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->message);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SHARE, transport->share);
    if (transport->resolve) {
        curl_easy_setopt(easy, CURLOPT_RESOLVE, transport->resolve);
    }
    if (transport->next_local) { /* handles take turns */
        curl_easy_setopt(easy, CURLOPT_INTERFACE, transport->next_local->data);
        transport->next_local = transport->next_local->next ? transport->next_local->next : transport->local;
    }
    return 0;
}

void curl_handle_forget(struct http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
}

void curl_handle_free(struct http_transfer *transfer)
{
    if (!transfer) {
        return;
    }
    curl_easy_cleanup(transfer->easy);
    for (size_t i = 0; i < TEXTS; i++) {
        buf_done(&transfer->set.text[i]);
    }
    buf_done(&transfer->set.header_lines);
    buf_done(&transfer->head);
    buf_done(&transfer->body);
    buf_done(&transfer->headers.text);
    free(transfer->headers.nodes);
    free(transfer);
}

/* ---- header lines ---- */

static void add_line(struct header_list *list, struct str line)
{
    buf_str(&list->text, line);
    buf_char(&list->text, '\0');
}

/* In libcurl's list "Name:" means to leave that header out; one that has no value is written "Name;". */
static void add_caller_line(struct header_list *list, struct str line)
{
    if (line.n > 2 && memcmp(line.p + line.n - 2, ": ", 2) == 0) {
        buf_append(&list->text, line.p, line.n - 2);
        add_line(list, STR(";"));
    } else {
        add_line(list, line);
    }
}

/* Turns the text, lines with a zero behind each, into nodes. */
static int link_nodes(struct header_list *list, size_t count)
{
    if (count > list->capacity) {
        struct curl_slist *nodes = realloc(list->nodes, 2 * count * sizeof *nodes);
        if (!nodes) {
            return MITE_ENOMEM;
        }
        list->nodes = nodes;
        list->capacity = 2 * count;
    }
    char *text = list->text.data;
    for (size_t i = 0; i < count; i++) {
        list->nodes[i] = (struct curl_slist){.data = text, .next = i + 1 < count ? &list->nodes[i + 1] : NULL};
        text += strlen(text) + 1;
    }
    return 0;
}

/*
 * The caller's lines, and what keeps libcurl from adding its own: no Accept-Encoding (users know the exact headers of
 * their requests; a body that comes compressed, asked for or not, is decoded all the same), no waiting for 100 Continue
 * before a large body, no Content-Type for a body that there is not.
 */
static int header_list_fill(struct header_list *list, struct str lines, bool no_content_type)
{
    size_t count = 0;
    const char *end = lines.p + lines.n, *eol;

    buf_clear(&list->text);
    if (!header_lines_has(lines, STR("Accept-Encoding"))) {
        add_line(list, STR("Accept-Encoding:"));
        count++;
    }
    if (!header_lines_has(lines, STR("Expect"))) {
        add_line(list, STR("Expect:"));
        count++;
    }
    if (no_content_type && !header_lines_has(lines, STR("Content-Type"))) {
        add_line(list, STR("Content-Type:"));
        count++;
    }
    for (const char *p = lines.p; p < end && (eol = memchr(p, '\r', (size_t)(end - p))); p = eol + 2) {
        add_caller_line(list, (struct str){p, (size_t)(eol - p)});
        count++;
    }
    return list->text.failed ? MITE_ENOMEM : link_nodes(list, count);
}

/* ---- what differs from request to request ---- */

static int change_text(struct http_transfer *transfer, enum curl_text which, struct str wanted)
{
    static const CURLoption options[TEXTS] = {
        [TEXT_URL] = CURLOPT_URL,       [TEXT_METHOD] = CURLOPT_CUSTOMREQUEST, [TEXT_COOKIE] = CURLOPT_COOKIE,
        [TEXT_USER] = CURLOPT_USERNAME, [TEXT_PASSWORD] = CURLOPT_PASSWORD,    [TEXT_CERT] = CURLOPT_SSLCERT,
        [TEXT_KEY] = CURLOPT_SSLKEY,
    };
    struct buf *text = &transfer->set.text[which];
    unsigned bit = 1u << which;

    if (!wanted.p) {
        transfer->set.texts &= ~bit;
        return curl_easy_setopt(transfer->easy, options[which], NULL) == CURLE_OK ? 0 : MITE_ENOMEM;
    }
    bool same = text->data && str_equal(buf_view(text), wanted);
    if (same && transfer->set.texts & bit) {
        return 0;
    }
    if (!same) {
        buf_clear(text);
        if (buf_str(text, wanted) < 0) {
            return MITE_ENOMEM;
        }
    }
    transfer->set.texts |= bit;
    return curl_easy_setopt(transfer->easy, options[which], text->data) == CURLE_OK ? 0 : MITE_ENOMEM;
}

/* Sets a text (none when there is none) unless it is set to that already. An empty text counts as set. */
static inline int set_text(struct http_transfer *transfer, enum curl_text which, struct str wanted)
{
    return wanted.p || transfer->set.texts & 1u << which ? change_text(transfer, which, wanted) : 0;
}

static int set_headers(struct http_transfer *transfer, struct str lines, bool no_content_type)
{
    struct buf *current = &transfer->set.header_lines;
    bool same =
        current->data && str_equal(buf_view(current), lines) && transfer->set.no_content_type == no_content_type;

    if (!same) {
        buf_clear(current);
        if (buf_str(current, lines) < 0 || header_list_fill(&transfer->headers, lines, no_content_type) < 0) {
            buf_done(current);
            return MITE_ENOMEM;
        }
        transfer->set.no_content_type = no_content_type;
    }
    if (!same || !transfer->set.headers) {
        curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers.nodes);
        transfer->set.headers = true;
    }
    return 0;
}

static bool wants_length(struct str method)
{
    return str_is(method, "POST") || str_is(method, "PUT") || str_is(method, "PATCH");
}

/* GET, HEAD, or a request with a body (that of a POST, PUT or PATCH may be empty); any other method is one of these
 * under another name. */
static int set_method(struct http_transfer *transfer, const struct http_hop *hop)
{
    bool body = hop->body.p || wants_length(hop->method);
    int shape = body ? SHAPE_BODY : str_is(hop->method, "HEAD") ? SHAPE_HEAD : SHAPE_GET;
    bool plain = str_is(hop->method, shape == SHAPE_BODY ? "POST" : shape == SHAPE_HEAD ? "HEAD" : "GET");

    if (shape == SHAPE_BODY) {
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, hop->body.p ? hop->body.p : "");
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)hop->body.n);
    }
    if (shape != (int)transfer->set.shape) {
        curl_easy_setopt(transfer->easy, CURLOPT_NOBODY, 0L);
        curl_easy_setopt(transfer->easy,
                         shape == SHAPE_BODY   ? CURLOPT_POST
                         : shape == SHAPE_HEAD ? CURLOPT_NOBODY
                                               : CURLOPT_HTTPGET,
                         1L);
        transfer->set.shape = shape;
    }
    return set_text(transfer, TEXT_METHOD, plain ? STR_NONE : hop->method);
}

/* Rounded up, so that nothing ends early; libcurl takes 0 for "no limit". */
static long to_ms(uint64_t ns)
{
    uint64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);

    return ms == 0 ? 1 : ms > INT_MAX ? INT_MAX : (long)ms;
}

static void set_limits(struct http_transfer *transfer, const struct http_hop *hop)
{
    if (hop->timeout_ns != transfer->set.timeout_ns) {
        curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, to_ms(hop->timeout_ns));
        transfer->set.timeout_ns = hop->timeout_ns;
    }
    if (hop->connect_timeout_ns != transfer->set.connect_timeout_ns) {
        curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, to_ms(hop->connect_timeout_ns));
        transfer->set.connect_timeout_ns = hop->connect_timeout_ns;
    }
    if (hop->verify != transfer->set.verify) {
        curl_easy_setopt(transfer->easy, CURLOPT_SSL_VERIFYPEER, hop->verify ? 1L : 0L);
        curl_easy_setopt(transfer->easy, CURLOPT_SSL_VERIFYHOST, hop->verify ? 2L : 0L);
        transfer->set.verify = hop->verify;
    }
}

static void clear_answer(struct http_transfer *transfer)
{
    buf_clear(&transfer->head);
    buf_clear(&transfer->body);
    transfer->head_ended = transfer->head_too_large = transfer->too_large = transfer->sets_cookies = false;
    transfer->socket_errno = 0;
    transfer->message[0] = '\0';
}

int curl_handle_prepare(struct http_transfer *transfer, struct mite_error *error)
{
    const struct http_hop *hop = transfer->hop;

    transfer->again = false;
    transfer->body.max_size = hop->max_body_bytes; /* the client's, always the same */
    clear_answer(transfer);
    if (!transfer->easy && open_easy(transfer) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    set_limits(transfer, hop);
    if (set_text(transfer, TEXT_URL, hop->url) < 0 || set_method(transfer, hop) < 0 ||
        set_headers(transfer, hop->header_lines, !hop->body.p) < 0 ||
        set_text(transfer, TEXT_COOKIE, hop->cookie) < 0 || set_text(transfer, TEXT_USER, hop->user) < 0 ||
        set_text(transfer, TEXT_PASSWORD, hop->password) < 0 || set_text(transfer, TEXT_CERT, hop->cert_file) < 0 ||
        set_text(transfer, TEXT_KEY, hop->key_file) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    return 0;
}

void curl_handle_try_again(struct http_transfer *transfer)
{
    clear_answer(transfer);
    transfer->again = true;
    curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
}
