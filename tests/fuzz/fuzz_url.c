/*
 * url_parse() on any text agrees with itself on what it wrote, and with libcurl's parser, to which the URL is given in
 * the end, about where a request goes; url_join() on any Location; and no sentence shows a password.
 */
#include "fuzz.h"

#include "http/url.h"

#include <curl/curl.h>

static char *part_of(CURLU *handle, CURLUPart part, unsigned flags)
{
    char *text = NULL;

    curl_url_get(handle, part, &text, flags);
    FUZZ_ASSERT(text);
    return text;
}

static void assert_part(CURLU *handle, CURLUPart part, unsigned flags, struct str ours)
{
    char *text = part_of(handle, part, flags);

    FUZZ_ASSERT(str_is(ours, text));
    curl_free(text);
}

/* What was written is what is read again, as it is. */
static void check_again(const struct url *url)
{
    struct buf storage;
    struct url again;

    buf_init(&storage, 0);
    FUZZ_ASSERT(url_parse(url->text, &storage, &again, NULL) == 0);
    FUZZ_ASSERT(str_equal(again.text, url->text) && str_equal(again.host, url->host));
    FUZZ_ASSERT(str_equal(again.path, url->path) && again.port == url->port && again.tls == url->tls);
    FUZZ_ASSERT(!again.user.p && !again.fragment.p);
    buf_done(&storage);
}

/* Our view of it against libcurl's, of the text that we took it to be. */
static void check(const struct url *url)
{
    check_again(url);
    CURLU *handle = curl_url();
    char *text = str_copy(url->text), port[8];

    FUZZ_ASSERT(handle && text);
    FUZZ_ASSERT(curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK);
    struct str sent = url->text; /* libcurl leaves a "?" out that nothing follows */
    sent.n -= url->path.p + url->path.n + 1 == sent.p + sent.n;
    assert_part(handle, CURLUPART_URL, 0, sent);
    assert_part(handle, CURLUPART_PATH, 0, url->path);
    assert_part(handle, CURLUPART_SCHEME, 0, url->tls ? STR("https") : STR("http"));
    snprintf(port, sizeof port, "%u", url->port);
    assert_part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT, str_of(port));
    char *host = part_of(handle, CURLUPART_HOST, CURLU_PUNYCODE);
    FUZZ_ASSERT(*host == '[' ? str_is(url->host, strtok(host + 1, "]")) : str_is(url->host, host));
    curl_free(host);
    curl_url_cleanup(handle);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct buf storage, other, shown;
    struct mite_error error = {0};
    struct url url, base;

    buf_init(&storage, 0);
    buf_init(&other, 0);
    buf_init(&shown, 0);
    if (url_parse(text, &storage, &url, &error) == 0) {
        check(&url);
    } else {
        FUZZ_ASSERT(error.code == MITE_EINVAL && error.text[0]);
    }
    FUZZ_ASSERT(url_parse(STR("http://shop.test/a/b?c"), &storage, &base, NULL) == 0);
    if (url_join(&base, text, &other, &url, NULL) == 0) {
        check(&url);
    }
    url_mask(text, &shown);
    FUZZ_ASSERT(shown.size <= 200 + 16);
    buf_done(&shown);
    buf_done(&other);
    buf_done(&storage);
    return 0;
}
