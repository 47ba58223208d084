/* SPDX-License-Identifier: MIT */
#include "cli/html.h"

#include "base/cleanup.h"
#include "base/log.h"

static void print_character(FILE *out, char character)
{
    switch (character) {
    case '&':
        fputs("&amp;", out);
        break;
    case '<':
        fputs("&lt;", out);
        break;
    case '>':
        fputs("&gt;", out);
        break;
    case '"':
        fputs("&quot;", out);
        break;
    case '\'':
        fputs("&#39;", out);
        break;
    default:
        putc(character, out);
    }
}

void html_text(FILE *out, const char *text)
{
    cleanup_free char *shown = log_escape(text);

    for (const char *at = shown ? shown : text; *at; at++)
        print_character(out, *at);
}

void html_name(FILE *out, const char *name)
{
    fputs("<bdi class=\"name\">", out);
    html_text(out, name);
    fputs("</bdi>", out);
}
