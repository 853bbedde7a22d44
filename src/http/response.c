#include "http/response.h"

#include <stdlib.h>

/* Blocks that fit are recycled. */
#define COMMON_BLOCK_BYTES 2048
#define MAX_SPARES         1024

/* What response_new() allocates: the public struct first, the text behind it. */
struct block {
    struct http_response response;
    bool common;        /* of COMMON_BLOCK_BYTES */
    char *body;         /* owned; NULL when it is part of the text */
    char *redirect_url; /* owned; NULL without */
    char text[];
};

static struct http_response *spares; /* linked by `previous` */
static unsigned spare_count;

static struct block *block_alloc(size_t size)
{
    bool common = size <= COMMON_BLOCK_BYTES;
    struct block *block = (struct block *)spares;

    if (common && block) {
        spares = spares->previous;
        spare_count--;
        return block;
    }
    block = malloc(common ? COMMON_BLOCK_BYTES : size);
    if (block) {
        block->common = common;
    }
    return block;
}

static void block_free(struct block *block)
{
    if (!block->common || spare_count == MAX_SPARES) {
        free(block);
        return;
    }
    block->response.previous = spares;
    spares = &block->response;
    spare_count++;
}

/* At exit, so that what the free list holds does not look like a leak. */
__attribute__((destructor)) static void free_spares(void)
{
    while (spares) {
        struct http_response *response = spares;
        spares = response->previous;
        free(response);
    }
}

static const char *next_line(const char *line, const char *end)
{
    const char *eol = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;

    return eol ? eol + 1 : end;
}

static struct str trim(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n')) {
        end--;
    }
    return (struct str){p, (size_t)(end - p)};
}

/* Copies with a zero behind; none stays none. */
static struct str place(char **at, struct str s)
{
    if (!s.p) {
        return STR_NONE;
    }
    char *copy = *at;
    memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    *at += s.n + 1;
    return (struct str){copy, s.n};
}

struct http_response *response_new(const struct http_hop *hop, int status, struct str header_block, struct buf *body)
{
    bool large = body->size > RESPONSE_SMALL_BODY;
    size_t text = hop->method.n + hop->url.n + header_block.n + (large ? 0 : body->size) + hop->header_lines.n +
                  hop->cookie.n + hop->body.n + 7;
    struct block *block = block_alloc(sizeof *block + text);

    if (!block) {
        return NULL;
    }
    struct http_response *response = &block->response;
    char *at = block->text;

    *response = (struct http_response){.refs = 1, .status = status};
    block->body = block->redirect_url = NULL;
    response->method = place(&at, hop->method);
    response->url = place(&at, hop->url);
    response->header_block = place(&at, header_block);
    response->request_headers = place(&at, hop->header_lines);
    response->request_cookies = place(&at, hop->cookie);
    response->request_body = place(&at, hop->body);
    if (large) {
        response->body = buf_view(body);
        block->body = body->data;
        buf_init(body, body->max_size);
    } else {
        response->body = place(&at, buf_view(body));
    }
    return response;
}

int response_set_redirect_url(struct http_response *response, struct str url, struct str fragment)
{
    struct block *block = (struct block *)response;
    char *at = block->redirect_url = malloc(url.n + fragment.n + 2);

    if (!at) {
        return MITE_ENOMEM;
    }
    response->redirect_url = place(&at, url);
    if (fragment.p) {
        at[-1] = '#';
        response->redirect_url.n += place(&at, fragment).n + 1;
    }
    return 0;
}

struct http_response *http_response_ref(struct http_response *response)
{
    response->refs++;
    return response;
}

void http_response_unref(struct http_response *response)
{
    while (response && --response->refs == 0) {
        struct block *block = (struct block *)response;
        response = response->previous;
        free(block->body);
        free(block->redirect_url);
        block_free(block);
    }
}

/* The status line is no header; a line without a colon is none either and is only in the block. */
bool http_response_next_header(const struct http_response *response, const char **at, struct http_header *out)
{
    const char *end = response->header_block.p + response->header_block.n;
    const char *line = *at ? *at : next_line(response->header_block.p, end);

    for (const char *next; line < end; line = next) {
        next = next_line(line, end);
        const char *colon = memchr(line, ':', (size_t)(next - line));
        if (colon) {
            *out = (struct http_header){trim(line, colon), trim(colon + 1, next)};
            *at = next;
            return true;
        }
    }
    return false;
}

struct str http_response_header(const struct http_response *response, const char *name)
{
    struct str wanted = str_of(name);
    struct http_header header;

    for (const char *at = NULL; http_response_next_header(response, &at, &header);) {
        if (str_equal_nocase(header.name, wanted)) {
            return header.value;
        }
    }
    return STR_NONE;
}
