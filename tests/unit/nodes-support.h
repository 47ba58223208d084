/* SPDX-License-Identifier: MIT */
/* A table of nodes, and names that are looked up in it. */
#pragma once

#include "support.h"

#include "mount/nodes.h"

static inline struct nodes *new_nodes(void)
{
    struct nodes *nodes;

    assert_int_equal(nodes_new(&nodes), 0);
    return nodes;
}

static inline uint64_t look_up_version(struct nodes *nodes, uint64_t parent, const char *name,
                                       uint64_t version)
{
    uint64_t node = 0;

    assert_int_equal(nodes_look_up(nodes, parent, name, version, &node), 0);
    assert_true(node != 0 && node != NODE_ROOT);
    assert_int_equal(nodes_version(nodes, node), version);
    return node;
}

static inline uint64_t look_up(struct nodes *nodes, uint64_t parent, const char *name)
{
    return look_up_version(nodes, parent, name, 0);
}
