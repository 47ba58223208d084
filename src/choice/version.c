/* SPDX-License-Identifier: MIT */
#include "choice/version.h"

#include "base/cleanup.h"

bool version_is_same(const struct share_header *a, const struct share_header *b)
{
    return a->layout.format == b->layout.format && a->layout.required == b->layout.required &&
           a->layout.block_size == b->layout.block_size &&
           a->layout.source_size == b->layout.source_size && a->mtime_ns == b->mtime_ns &&
           a->total == b->total;
}

static uint64_t plain_share_size(const struct share_header *header)
{
    struct share_layout layout = header_plain_layout(header);

    return layout_share_size(&layout);
}

/* Whether a copy without a header has this version's size, and no other version's. */
static bool could_be(const struct copy_facts copies[], size_t count, size_t copy,
                     const struct share_header *version)
{
    if (version->layout.format != SHARE_CHECKED || copies[copy].size != plain_share_size(version))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (copies[i].has_header && !version_is_same(&copies[i].header, version) &&
            copies[copy].size == plain_share_size(&copies[i].header))
            return false;
    }
    return true;
}

static struct version count_version(const struct copy_facts copies[], size_t count,
                                    const struct share_header *header)
{
    struct version version = {.header = *header};
    bool seen[256] = {false};

    for (size_t i = 0; i < count; i++) {
        if (!copies[i].has_header) {
            version.nameless += could_be(copies, count, i, header);
        } else if (version_is_same(&copies[i].header, header) && !seen[copies[i].header.index]) {
            seen[copies[i].header.index] = true;
            version.members++;
        }
    }
    return version;
}

/* The k that most copies say; the largest of equally frequent ones. */
static unsigned common_required(const struct copy_facts copies[], size_t count)
{
    size_t frequency[256] = {0};
    unsigned common = 0;

    for (size_t i = 0; i < count; i++) {
        if (copies[i].has_header)
            frequency[copies[i].header.layout.required]++;
    }
    for (unsigned k = 1; k < 256; k++) {
        if (frequency[k] > 0 && frequency[k] >= frequency[common])
            common = k;
    }
    return common;
}

/*
 * How far a version can be relied on: 2 where it has as many shares as it needs, and no fewer than
 * the k that most copies say (or else a single store could make itself the newest complete version
 * by saying k = 1), 1 where it has as many as it says that it needs itself, or 0.
 */
static int completeness(const struct version *version, unsigned common)
{
    unsigned shares = version->members + version->nameless;

    if (shares < version->header.layout.required)
        return 0;
    return shares < common ? 1 : 2;
}

/* Above 0 where version A is to be preferred to B, below 0 the other way round. */
static int compare(const struct version *a, const struct version *b, unsigned common)
{
    unsigned shares_a = a->members + a->nameless, shares_b = b->members + b->nameless;
    int order = completeness(a, common) - completeness(b, common);

    if (order != 0)
        return order;
    if (a->header.mtime_ns != b->header.mtime_ns)
        return a->header.mtime_ns > b->header.mtime_ns ? 1 : -1;
    return (shares_a > shares_b) - (shares_a < shares_b);
}

/* Whether two versions that are equally good may have different contents. */
static bool is_tie(const struct share_header *a, const struct share_header *b)
{
    return a->layout.format != SHARE_CHECKED || a->layout.source_size != b->layout.source_size;
}

static enum copy_role role_of(const struct copy_facts copies[], size_t count, size_t copy,
                              const struct share_header *version)
{
    const struct share_layout *wanted = &version->layout, *layout = &copies[copy].header.layout;

    if (!copies[copy].has_header) {
        if (wanted->format != SHARE_CHECKED)
            return COPY_USELESS;
        return could_be(copies, count, copy, version) ? COPY_NAMELESS : COPY_HELPER;
    }
    if (version_is_same(&copies[copy].header, version))
        return COPY_MEMBER;
    if (wanted->format == SHARE_CHECKED && layout->required == wanted->required &&
        layout->block_size == wanted->block_size)
        return COPY_HELPER;
    return COPY_USELESS;
}

/*
 * The best version of those whose copies are not LEFT_OUT, or false where there is none.
 */
static bool find_best(const struct copy_facts copies[], size_t count, const bool left_out[],
                      struct version *ret)
{
    unsigned common = common_required(copies, count);
    struct version best = {0};
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        /* The chosen one's other members say the same again. */
        if (!copies[i].has_header || left_out[i] ||
            (found && version_is_same(&copies[i].header, &best.header)))
            continue;
        struct version version = count_version(copies, count, &copies[i].header);
        int order = found ? compare(&version, &best, common) : 1;
        if (order > 0)
            best = version;
        else if (order == 0 && is_tie(&version.header, &best.header))
            best.tied = true;
        found = true;
    }
    *ret = best;
    return found;
}

int version_choose(const struct copy_facts copies[], size_t count, unsigned rank,
                   struct version *ret, enum copy_role roles[])
{
    cleanup_free bool *left_out = calloc(count, sizeof *left_out);
    struct version best;

    if (!left_out)
        return -ENOMEM;
    bool found = find_best(copies, count, left_out, &best);
    for (; found && rank > 0; rank--) {
        for (size_t i = 0; i < count; i++)
            left_out[i] |= copies[i].has_header && version_is_same(&copies[i].header, &best.header);
        found = find_best(copies, count, left_out, &best);
    }
    if (!found)
        return -ENODATA;
    for (size_t i = 0; i < count; i++)
        roles[i] = role_of(copies, count, i, &best.header);
    *ret = best;
    return 0;
}

/* Whether most of the copies say K, however PENDING more of them decide. */
static bool is_common(const struct copy_facts copies[], size_t count, size_t pending, unsigned k)
{
    size_t votes = 0;

    for (size_t i = 0; i < count; i++)
        votes += copies[i].header.layout.required == k;
    return votes > count - votes + pending;
}

bool version_is_settled(const struct copy_facts copies[], size_t count, size_t pending)
{
    cleanup_free bool *left_out = calloc(count + 1, sizeof *left_out);
    struct version best;

    /* Copies without a header may turn out to be of any version. */
    for (size_t i = 0; i < count; i++) {
        if (!copies[i].has_header)
            return false;
    }
    if (!left_out || !find_best(copies, count, left_out, &best))
        return false;
    unsigned k = best.header.layout.required;
    if (best.header.layout.format != SHARE_CHECKED || best.members < k || pending >= k ||
        !is_common(copies, count, pending, k))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct version other = count_version(copies, count, &copies[i].header);
        if (!version_is_same(&other.header, &best.header) && other.members + pending >= k)
            return false;
    }
    return true;
}
