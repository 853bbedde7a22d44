/*
 * A server of the test's own, with the answers in its `routes`, and a client in front of it. Each test program includes
 * this once, behind its routes.
 */
#pragma once

#include "http_fixture.h"
#include "http_peer.h"

static struct peer peer;

static int setup(void **state)
{
    static struct fixture fixture;

    fixture_open(&fixture);
    peer_start(&peer, fixture.loop, "127.0.0.1", routes);
    memcpy(fixture.base_url, peer.url, sizeof peer.url);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    peer_stop(&peer);
    fixture_close(*state);
    return 0;
}
