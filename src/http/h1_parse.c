#include "http/h1_parse.h"

#include "base/buf.h"
#include "base/error.h"

#define OVERHEAD_MAX ((uint32_t)64 << 10) /* extensions and trailers of one body */

static enum h1_parsed malformed(struct h1_head *head, const char *why)
{
    head->why = why;
    return H1_MALFORMED;
}

/* ---- small things ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9110, 5.6.2 */
static bool is_token_char(char c)
{
    static const bool is_one[256] = {
        ['!'] = true,         ['#' ... '\''] = true, ['*'] = true,         ['+'] = true,
        ['-'] = true,         ['.'] = true,          ['0' ... '9'] = true, ['A' ... 'Z'] = true,
        ['^' ... '`'] = true, ['a' ... 'z'] = true,  ['|'] = true,         ['~'] = true,
    };

    return is_one[(unsigned char)c];
}

static struct str trim(const char *p, const char *end)
{
    while (p < end && (is_blank(*p) || *p == '\r' || *p == '\n')) {
        p++;
    }
    while (end > p && (is_blank(end[-1]) || end[-1] == '\r' || end[-1] == '\n')) {
        end--;
    }
    return (struct str){p, (size_t)(end - p)};
}

/* The next element of a comma-separated list, taken off its front; empty ones are left out. */
static bool next_element(struct str *list, struct str *out)
{
    while (list->n > 0) {
        const char *comma = memchr(list->p, ',', list->n), *end = list->p + list->n;
        const char *stop = comma ? comma : end;
        *out = trim(list->p, stop);
        *list = comma ? (struct str){comma + 1, (size_t)(end - comma - 1)} : STR_NONE;
        if (out->n > 0) {
            return true;
        }
    }
    return false;
}

/* ---- the header lines that matter here ---- */

static enum h1_parsed on_one_length(struct h1_head *head, struct str digits)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits.n; i++) {
        if (!is_digit(digits.p[i])) {
            return malformed(head, "its Content-Length is no number");
        }
        unsigned digit = (unsigned)(digits.p[i] - '0');
        if (n > ((uint64_t)INT64_MAX - digit) / 10) {
            return malformed(head, "its Content-Length is too large a number");
        }
        n = n * 10 + digit;
    }
    if (digits.n == 0) {
        return malformed(head, "its Content-Length is empty");
    }
    if (head->has_length && n != head->length) {
        return malformed(head, "it has two different Content-Length");
    }
    head->has_length = true;
    head->length = n;
    return H1_MORE;
}

/* One number, or the same one several times: 5, 5 (RFC 9112, 6.3). */
static enum h1_parsed on_length(struct h1_head *head, struct str value)
{
    const char *end = value.p + value.n, *comma;
    enum h1_parsed parsed = H1_MORE;

    do {
        comma = memchr(value.p, ',', (size_t)(end - value.p));
        parsed = on_one_length(head, trim(value.p, comma ? comma : end));
        value.p = comma ? comma + 1 : end;
    } while (comma && parsed == H1_MORE);
    return parsed;
}

static enum h1_parsed on_transfer_encoding(struct h1_head *head, struct str value)
{
    struct str element;

    if (value.n == 0) {
        return malformed(head, "its Transfer-Encoding is empty");
    }
    while (next_element(&value, &element)) {
        if (str_equal_nocase(element, STR("identity"))) {
            continue;
        }
        if (!str_equal_nocase(element, STR("chunked"))) {
            return malformed(head, "its Transfer-Encoding is another than chunked");
        }
        if (head->chunked) {
            return malformed(head, "its Transfer-Encoding is chunked twice");
        }
        head->chunked = true;
    }
    return H1_MORE;
}

static void on_connection(struct h1_head *head, struct str value)
{
    struct str element;

    while (next_element(&value, &element)) {
        head->close |= str_equal_nocase(element, STR("close"));
        head->stays |= str_equal_nocase(element, STR("keep-alive"));
    }
}

static enum h1_coding coding_of(struct str name)
{
    static const struct {
        struct str name;
        enum h1_coding coding;
    } known[] = {{{"gzip", 4}, H1_GZIP},
                 {{"x-gzip", 6}, H1_GZIP},
                 {{"deflate", 7}, H1_DEFLATE},
                 {{"br", 2}, H1_BROTLI},
                 {{"zstd", 4}, H1_ZSTD}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_equal_nocase(name, known[i].name)) {
            return known[i].coding;
        }
    }
    return H1_UNKNOWN_CODING;
}

static enum h1_parsed on_content_encoding(struct h1_head *head, struct str value)
{
    struct str element;

    while (next_element(&value, &element)) {
        if (str_equal_nocase(element, STR("identity")) || str_equal_nocase(element, STR("none"))) {
            continue;
        }
        if (head->coding_count == H1_CODINGS_MAX) {
            return malformed(head, "it has too many Content-Encoding");
        }
        head->codings[head->coding_count++] = (uint8_t)coding_of(element);
    }
    return H1_MORE;
}

/* What tells where the body ends is not for different readers to read differently. */
static enum h1_parsed on_framing(struct h1_head *head, const char *value, const char *end,
                                 enum h1_parsed (*on)(struct h1_head *head, struct str value))
{
    return memchr(value, '\n', (size_t)(end - value)) ? malformed(head, "what tells its length is folded")
                                                      : on(head, trim(value, end));
}

/* The value is what stands between its colon and the end of the line. */
static enum h1_parsed on_header(struct h1_head *head, struct str name, const char *value, const char *end)
{
    switch (name.n) {
    case 10:
        if (str_equal_nocase(name, STR("Connection"))) {
            on_connection(head, trim(value, end));
        } else if (str_equal_nocase(name, STR("Set-Cookie"))) {
            head->sets_cookies = true;
        }
        return H1_MORE;
    case 14:
        return str_equal_nocase(name, STR("Content-Length")) ? on_framing(head, value, end, on_length) : H1_MORE;
    case 16:
        return str_equal_nocase(name, STR("Content-Encoding")) ? on_content_encoding(head, trim(value, end)) : H1_MORE;
    case 17:
        return str_equal_nocase(name, STR("Transfer-Encoding")) ? on_framing(head, value, end, on_transfer_encoding)
                                                                : H1_MORE;
    default:
        return H1_MORE;
    }
}

/* ---- lines ---- */

/* HTTP/1.x SP 3DIGIT [SP reason] */
static enum h1_parsed on_status_line(struct h1_head *head, const char *line, const char *end)
{
    if (end - line < 8 || line[5] != '1' || line[6] != '.' || (line[7] != '0' && line[7] != '1')) {
        return malformed(head, "its version is not HTTP/1.0 or HTTP/1.1");
    }
    if (end - line < 12 || line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
        (end - line > 12 && line[12] != ' ')) {
        return malformed(head, "its status line has no status of three digits");
    }
    head->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    head->old = line[7] == '0';
    head->has_status = head->status >= 100;
    return head->has_status ? H1_MORE : malformed(head, "its status is below 100");
}

static enum h1_parsed on_line(struct h1_head *head, const char *line, const char *end)
{
    if (!head->has_status) {
        return on_status_line(head, line, end);
    }
    const char *colon = line;
    while (colon < end && is_token_char(*colon)) {
        colon++;
    }
    if (colon == end || *colon != ':' || colon == line) {
        return malformed(head, "a header line of it has no name and colon");
    }
    return on_header(head, (struct str){line, (size_t)(colon - line)}, colon + 1, end);
}

/* RFC 9112, 6.3: how far the body reaches. */
static enum h1_parsed conclude(struct h1_head *head, const char *data, bool head_request)
{
    if (memchr(data, '\0', head->size)) {
        return malformed(head, "its head has a zero byte");
    }
    if (head->chunked && head->has_length) {
        return malformed(head, "it has both a Transfer-Encoding and a Content-Length");
    }
    head->keep_alive = !head->close && (!head->old || (head->stays && !head->chunked));
    if (head->status == 204 && (head->chunked || (head->has_length && head->length > 0))) {
        head->keep_alive = false; /* a body may follow all the same, in the next one's place */
    }
    if (head_request || head->status < 200 || head->status == 204 || head->status == 304) {
        head->framing = H1_NO_BODY;
    } else if (head->chunked) {
        head->framing = H1_CHUNKED;
    } else if (head->has_length) {
        head->framing = head->length > 0 ? H1_LENGTH : H1_NO_BODY;
    } else {
        head->framing = H1_UNTIL_CLOSE;
        head->keep_alive = false;
    }
    return H1_DONE;
}

void h1_head_init(struct h1_head *head)
{
    *head = (struct h1_head){.tidy = true};
}

/* Ends a line at `eol`, the index of its LF; the CR before it, if any, is no part of it. */
static enum h1_parsed take_line(struct h1_head *head, const char *data, size_t eol)
{
    size_t end = eol > head->line && data[eol - 1] == '\r' ? eol - 1 : eol;
    const char *cr = memchr(data + head->line, '\r', end - head->line);

    if (end == eol) {
        head->tidy = false;
    }
    while (cr && cr[1] == '\n') { /* of a folded line */
        cr = memchr(cr + 1, '\r', (size_t)(data + end - cr - 1));
    }
    return cr ? malformed(head, "its head has a CR without LF") : on_line(head, data + head->line, data + end);
}

enum h1_parsed h1_head_parse(struct h1_head *head, const char *data, size_t size, bool head_request)
{
    const char *eol;

    if (!head->has_status && memcmp(data, "HTTP/", size < 5 ? size : 5) != 0) {
        return H1_NOT_HTTP;
    }
    while ((eol = memchr(data + head->scanned, '\n', size - head->scanned))) {
        size_t at = (size_t)(eol - data);
        if (at >= H1_HEAD_MAX) {
            break;
        }
        if (head->has_status && (at == head->line || (at == head->line + 1 && data[head->line] == '\r'))) {
            head->block_size = head->line;
            head->size = at + 1;
            return conclude(head, data, head_request);
        }
        if (at + 1 == size) { /* the next byte tells whether the line goes on */
            head->scanned = at;
            return H1_MORE;
        }
        if (is_blank(data[at + 1])) {
            if (!head->has_status) {
                return malformed(head, "a blank follows its status line");
            }
            head->tidy = false;
            head->scanned = at + 1;
            continue;
        }
        enum h1_parsed parsed = take_line(head, data, at);
        if (parsed < 0) {
            return parsed;
        }
        head->line = head->scanned = at + 1;
    }
    if (!eol) {
        head->scanned = size;
    }
    return size < H1_HEAD_MAX ? H1_MORE : H1_HEAD_TOO_LARGE;
}

/* The CRLF of a line that goes on is left out, as are the blanks around it but one (RFC 9112, 5.2). */
int h1_head_tidy(const char *data, size_t block_size, struct buf *out)
{
    const char *end = data + block_size, *eol;

    for (const char *line = data; line < end; line = eol + 1) {
        eol = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)(eol - line);
        n -= n > 0 && line[n - 1] == '\r';
        if (is_blank(*line) && out->size > 2) {
            out->size -= 2; /* the line break */
            while (out->size > 0 && is_blank(out->data[out->size - 1])) {
                out->size--;
            }
            while (n > 1 && is_blank(line[1])) {
                line++;
                n--;
            }
        }
        buf_append(out, line, n);
        buf_append(out, "\r\n", 2);
    }
    return out->failed ? MITE_ENOMEM : 0;
}

/* ---- chunks ---- */

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER_START, TRAILER_NAME, TRAILER, TRAILER_LF, END_LF };

static enum h1_parsed bad_chunk(struct h1_chunks *chunks, const char *why)
{
    chunks->why = why;
    return H1_MALFORMED;
}

static enum h1_parsed on_size_char(struct h1_chunks *chunks, char c)
{
    int value = str_hex_digit(c);

    if (value >= 0) {
        if (chunks->left >> 59) {
            return bad_chunk(chunks, "the size of a chunk is too large a number");
        }
        chunks->left = chunks->left << 4 | (unsigned)value;
        chunks->digits = 1;
        return H1_MORE;
    }
    if (chunks->digits == 0 || (c != '\r' && c != ';' && !is_blank(c))) {
        return bad_chunk(chunks, "the size of a chunk is no hexadecimal number");
    }
    chunks->state = c == '\r' ? SIZE_LF : EXTENSION;
    return H1_MORE;
}

static const char not_a_trailer[] = "a trailer of it is no header line";

/* One byte of what is not payload. */
static enum h1_parsed on_framing_char(struct h1_chunks *chunks, char c)
{
    switch (chunks->state) {
    case SIZE:
        return on_size_char(chunks, c);
    case EXTENSION:
    case TRAILER:
        if (c == '\n' || c == '\0' || ++chunks->overhead > OVERHEAD_MAX) {
            return bad_chunk(chunks, c == '\n'   ? "a line of its chunks ends without CR"
                                     : c == '\0' ? "a line of its chunks has a zero byte"
                                                 : "its chunks' extensions or trailers are too large");
        }
        if (c == '\r') {
            chunks->state = chunks->state == TRAILER ? TRAILER_LF : SIZE_LF;
        }
        return H1_MORE;
    case DATA_CR:
        chunks->state = DATA_LF;
        return c == '\r' ? H1_MORE : bad_chunk(chunks, "a chunk is longer than its size");
    case TRAILER_START:
        chunks->state = c == '\r' ? END_LF : is_blank(c) ? TRAILER : TRAILER_NAME;
        return c == '\r' || is_token_char(c) || (is_blank(c) && chunks->folds) ? H1_MORE
                                                                               : bad_chunk(chunks, not_a_trailer);
    case TRAILER_NAME:
        chunks->state = c == ':' ? TRAILER : TRAILER_NAME;
        chunks->folds = true;
        return c == ':' || (is_token_char(c) && ++chunks->overhead <= OVERHEAD_MAX) ? H1_MORE
                                                                                    : bad_chunk(chunks, not_a_trailer);
    default:
        break;
    }
    if (c != '\n') {
        return bad_chunk(chunks, "a line of its chunks has a CR without LF");
    }
    switch (chunks->state) {
    case SIZE_LF:
        chunks->state = chunks->left > 0 ? DATA : TRAILER_START;
        return H1_MORE;
    case DATA_LF:
        chunks->state = SIZE;
        chunks->digits = 0;
        return H1_MORE;
    case TRAILER_LF:
        chunks->state = TRAILER_START;
        return H1_MORE;
    default: /* END_LF */
        return H1_DONE;
    }
}

enum h1_parsed h1_chunks_next(struct h1_chunks *chunks, const char **p, const char *end, struct str *piece)
{
    while (*p < end) {
        if (chunks->state == DATA) {
            size_t n = (size_t)(end - *p);
            n = n < chunks->left ? n : (size_t)chunks->left;
            *piece = (struct str){*p, n};
            *p += n;
            chunks->left -= n;
            if (chunks->left == 0) {
                chunks->state = DATA_CR;
            }
            return H1_PIECE;
        }
        enum h1_parsed parsed = on_framing_char(chunks, *(*p)++);
        if (parsed != H1_MORE) {
            return parsed;
        }
    }
    return H1_MORE;
}
