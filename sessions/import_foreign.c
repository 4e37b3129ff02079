// sessions/import_foreign.c
// SPDX-License-Identifier: MIT
//
// The exports of others: conversations.json of ChatGPT and the chats that Open WebUI
// saves. Both are an array of conversations whose messages are an object from ids to
// nodes, each with the id of its parent. Neither format is documented; what is read here
// was seen in exports. Unknown kinds of content are left out, a message without any
// content is not imported, and its children hang from its nearest imported ancestor.
#include "sessions/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/base64.h"

#define NODE_LIMIT     100000 // messages of one conversation
#define PART_LIMIT     128    // parts of one message
#define MESSAGE_BUDGET ((size_t)64 << 20)

// One message while it is converted; text and hashes live in the arena or in the JSON.
struct conversion {
    struct importer *importer;
    struct arena *arena;
    struct import_message message;
    struct part parts[PART_LIMIT];
    bool too_many; // parts
    struct err *err;
};

// Fills conversion->message. A node without visible content leaves it without parts.
typedef bool convert_node(struct conversion *conversion, const json_t *node);

static const char *get_string(const json_t *object, const char *field)
{
    return json_string_value(json_object_get(object, field));
}

// Seconds, milliseconds or nanoseconds since 1970, whichever it must be.
static int64_t get_ms(const json_t *object, const char *field)
{
    double number = json_number_value(json_object_get(object, field));

    if (!(number > 0) || number > 4e18)
        return 0;
    if (number > 1e17)
        return (int64_t)(number / 1e6);
    return number > 1e11 ? (int64_t)number : (int64_t)(number * 1e3);
}

static void add_part(struct conversion *conversion, struct part part)
{
    struct message *content = &conversion->message.content;

    if (content->part_count < PART_LIMIT)
        conversion->parts[content->part_count++] = part;
    else
        conversion->too_many = true;
}

static void add_text(struct conversion *conversion, const char *text, size_t len)
{
    if (len > 0)
        add_part(conversion,
                 (struct part){ .kind = PART_TEXT, .text = text, .text_len = len });
}

static void add_json_text(struct conversion *conversion, const json_t *text)
{
    if (json_is_string(text))
        add_text(conversion, json_string_value(text), json_string_length(text));
}

static bool add_missing(struct conversion *conversion, const char *name)
{
    char *words = alloc_printf("[picture that is not in the export: %.200s]", name);
    const char *copy = arena_string(conversion->arena, words, strlen(words));

    free(words);
    if (copy == NULL)
        return err_set(conversion->err, ERR_LIMIT, "a message with too many pictures");
    add_text(conversion, copy, strlen(copy));
    conversion->importer->done->missing_images++;
    return true;
}

static bool add_picture(struct conversion *conversion, const struct str *bytes,
                        const char *name)
{
    struct sessions_attachment attachment;
    char *hash, *copy;

    if (!import_picture(conversion->importer, bytes->data, bytes->len, &attachment,
                        conversion->err))
        return false;
    hash = arena_string(conversion->arena, attachment.hash, strlen(attachment.hash));
    copy = arena_string(conversion->arena, name, strlen(name));
    if (hash == NULL || copy == NULL)
        return err_set(conversion->err, ERR_LIMIT, "a message with too many pictures");
    add_part(conversion,
             (struct part){ .kind = PART_IMAGE, .image_hash = hash, .image_name = copy });
    return true;
}

// ---------------------------------------------------------------------------
// The tree

struct tree {
    size_t count;
    const char **ids;
    const json_t **nodes;
    size_t *first_child, *next_sibling; // index + 1, 0: none
    size_t *parents;                    // index + 1, 0: none
    size_t *order;                      // parents before children
    char (*imported)[SESSIONS_ID];      // id of the node, or of its nearest ancestor; ""
};

static void tree_release(struct tree *tree)
{
    free(tree->ids);
    free(tree->nodes);
    free(tree->first_child);
    free(tree->next_sibling);
    free(tree->parents);
    free(tree->order);
    free(tree->imported);
}

static void tree_read(struct tree *tree, const json_t *nodes, const char *parent_field)
{
    json_t *index = json_object();
    const char *id;
    json_t *node;
    size_t i = 0;

    json_object_foreach ((json_t *)(uintptr_t)nodes, id, node) {
        json_object_set_new(index, id, json_integer((json_int_t)i));
        tree->ids[i] = id;
        tree->nodes[i++] = node;
    }
    for (i = tree->count;
         i-- > 0;) { // backwards: the lists of children come out forwards
        const char *parent = get_string(tree->nodes[i], parent_field);
        const json_t *found = parent != NULL ? json_object_get(index, parent) : NULL;

        if (found != NULL) {
            size_t p = (size_t)json_integer_value(found);

            tree->parents[i] = p + 1;
            tree->next_sibling[i] = tree->first_child[p];
            tree->first_child[p] = i + 1;
        }
    }
    json_decref(index);
}

// Breadth first from those without parent. Nodes on a cycle are never reached.
static bool tree_sort(struct tree *tree)
{
    size_t len = 0;

    for (size_t i = 0; i < tree->count; i++)
        if (tree->parents[i] == 0)
            tree->order[len++] = i;
    for (size_t at = 0; at < len; at++)
        for (size_t c = tree->first_child[tree->order[at]]; c != 0;
             c = tree->next_sibling[c - 1])
            tree->order[len++] = c - 1;
    return len == tree->count;
}

static bool import_converted(struct conversion *conversion, struct err *err)
{
    struct import_message *message = &conversion->message;
    struct sessions_record record = { .model_name = message->model };
    int64_t key;

    if (conversion->too_many)
        return err_set(err, ERR_LIMIT, "more than %d parts", PART_LIMIT);
    if (!import_message(conversion->importer, message, &key, err))
        return false;
    return key == 0 || message->model == NULL ||
           record_insert(conversion->importer->s, key, &record, err);
}

static bool import_node(struct importer *importer, const struct tree *tree, size_t i,
                        convert_node *convert, struct err *err)
{
    const char *parent =
        tree->parents[i] != 0 ? tree->imported[tree->parents[i] - 1] : "";
    struct conversion conversion = { .importer = importer, .err = err };
    struct import_message *message = &conversion.message;
    char id[SESSIONS_ID];
    struct arena arena;
    bool ok;

    arena_init(&arena, MESSAGE_BUDGET);
    id_derive(importer->id, tree->ids[i], id);
    conversion.arena = &arena;
    *message =
        (struct import_message){ .id = id, .parent = parent, .state = MESSAGE_DONE };
    message->content.parts = conversion.parts;
    ok = convert(&conversion, tree->nodes[i]);
    message->finished_ms = message->created_ms;
    if (ok && message->content.part_count > 0)
        ok = import_converted(&conversion, err);
    snprintf(tree->imported[i], SESSIONS_ID, "%s",
             message->content.part_count > 0 ? id : parent);
    arena_release(&arena);
    return ok || err_prefix(err, "message %.64s", tree->ids[i]);
}

// current: the id of the node that was shown last.
static bool import_tree(struct importer *importer, const json_t *nodes,
                        const char *parent_field, const char *current,
                        convert_node *convert, struct err *err)
{
    size_t count = json_object_size(nodes);
    struct tree tree = { .count = count };
    bool ok;

    if (count > NODE_LIMIT)
        return err_set(err, ERR_LIMIT, "a conversation of %zu messages; the limit is %d",
                       count, NODE_LIMIT);
    tree.ids = alloc_array(count, sizeof(*tree.ids));
    tree.nodes = alloc_array(count, sizeof(*tree.nodes));
    tree.first_child = alloc_array(count, sizeof(*tree.first_child));
    tree.next_sibling = alloc_array(count, sizeof(*tree.next_sibling));
    tree.parents = alloc_array(count, sizeof(*tree.parents));
    tree.order = alloc_array(count, sizeof(*tree.order));
    tree.imported = alloc_array(count, sizeof(*tree.imported));
    tree_read(&tree, nodes, parent_field);
    ok = tree_sort(&tree) ||
         err_set(err, ERR_FORMAT, "messages that are their own ancestors");
    for (size_t i = 0; ok && i < count; i++) {
        size_t node = tree.order[i];

        ok = import_node(importer, &tree, node, convert, err);
        if (ok && current != NULL && strcmp(tree.ids[node], current) == 0)
            memcpy(importer->active_leaf, tree.imported[node], SESSIONS_ID);
    }
    tree_release(&tree);
    return ok;
}

static bool begin(struct importer *importer, const char *origin, const char *id,
                  const json_t *object, const char *title, const char *created,
                  const char *updated, const char *tags, struct err *err)
{
    char own[SESSIONS_ID];
    struct import_conversation conversation = {
        .id = own,
        .title = title != NULL ? title : "",
        .origin = origin,
        .tags = tags,
        .created_ms = get_ms(object, created),
        .updated_ms = get_ms(object, updated),
    };

    id_derive(origin, id != NULL ? id : conversation.title, own);
    return import_begin(importer, &conversation, err);
}

// ---------------------------------------------------------------------------
// ChatGPT

// A picture's file begins with the last part of "file-service://file-AbC" (or
// sediment://).
static bool find_file(const char *directory, const char *prefix, int depth,
                      struct str *path)
{
    DIR *open = opendir(directory);
    struct dirent *entry;
    bool found = false;

    while (open != NULL && !found && (entry = readdir(open)) != NULL) {
        bool hidden = entry->d_name[0] == '.';

        if (!hidden && strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            str_reset(path);
            found = str_printf(path, "%s/%s", directory, entry->d_name);
        } else if (!hidden && entry->d_type == DT_DIR && depth > 0) {
            char *below = alloc_printf("%s/%s", directory, entry->d_name);

            found = find_file(below, prefix, depth - 1, path);
            free(below);
        }
    }
    if (open != NULL)
        closedir(open);
    return found;
}

static bool read_picture(const char *path, struct str *bytes)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char buffer[16384];
    ssize_t got = -1;

    while (fd >= 0 && (got = read(fd, buffer, sizeof(buffer))) > 0)
        if (!str_append_n(bytes, buffer, (size_t)got)) {
            got = -1;
            break;
        }
    if (fd >= 0)
        close(fd);
    return got == 0 && bytes->len > 0;
}

static bool add_asset(struct conversion *conversion, const char *pointer)
{
    const char *scheme = strstr(pointer, "://");
    const char *name = scheme != NULL ? scheme + 3 : pointer;
    const char *directory = conversion->importer->directory;
    struct str path, bytes;
    bool ok;

    str_init(&path, 4096);
    str_init(&bytes, SESSIONS_ATTACHMENT_LIMIT);
    if (directory != NULL && strlen(name) >= 8 && strchr(name, '/') == NULL &&
        find_file(directory, name, 1, &path) && read_picture(path.data, &bytes))
        ok = add_picture(conversion, &bytes, strrchr(path.data, '/') + 1);
    else
        ok = add_missing(conversion, name);
    str_release(&path);
    str_release(&bytes);
    return ok;
}

static bool add_chatgpt_content(struct conversion *conversion, const json_t *content)
{
    const json_t *parts = json_object_get(content, "parts");

    if (parts == NULL) { // code, results of tools, quotes
        add_json_text(conversion, json_object_get(content, "text"));
        return true;
    }
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        const char *pointer = get_string(part, "asset_pointer");

        add_json_text(conversion, part);
        add_json_text(conversion, json_object_get(part, "text")); // what was said
        if (pointer != NULL && get_string(part, "content_type") != NULL &&
            strcmp(get_string(part, "content_type"), "image_asset_pointer") == 0 &&
            !add_asset(conversion, pointer))
            return false;
    }
    return true;
}

static bool convert_chatgpt(struct conversion *conversion, const json_t *node)
{
    const json_t *message = json_object_get(node, "message");
    const json_t *metadata = json_object_get(message, "metadata");
    const char *role = get_string(json_object_get(message, "author"), "role");

    if (!role_of(role, &conversion->message.content.role) ||
        json_is_true(json_object_get(metadata, "is_visually_hidden_from_conversation")))
        return true;
    conversion->message.created_ms = get_ms(message, "create_time");
    if (conversion->message.content.role == ROLE_ASSISTANT)
        conversion->message.model = get_string(metadata, "model_slug");
    return add_chatgpt_content(conversion, json_object_get(message, "content"));
}

bool import_chatgpt(struct importer *importer, const json_t *value, struct err *err)
{
    const char *id = get_string(value, "id");
    bool ok;

    if (id == NULL)
        id = get_string(value, "conversation_id");
    if (!begin(importer, "chatgpt", id, value, get_string(value, "title"), "create_time",
               "update_time", NULL, err))
        return false;
    ok = import_tree(importer, json_object_get(value, "mapping"), "parent",
                     get_string(value, "current_node"), convert_chatgpt, err);
    return import_end(importer, ok, err);
}

// ---------------------------------------------------------------------------
// Open WebUI

// data:image/png;base64,...
static bool add_url(struct conversion *conversion, const char *url, const char *name)
{
    const char *data = strstr(url, ";base64,");
    struct str bytes;
    bool ok;

    if (strncmp(url, "data:", 5) != 0 || data == NULL)
        return add_missing(conversion, name != NULL ? name : url);
    data += strlen(";base64,");
    str_init(&bytes, SESSIONS_ATTACHMENT_LIMIT);
    if (base64_decode(data, strlen(data), &bytes) && bytes.len > 0)
        ok = add_picture(conversion, &bytes, name != NULL ? name : "");
    else
        ok = err_set(conversion->err, bytes.truncated ? ERR_LIMIT : ERR_FORMAT,
                     "a picture that is not base64, or of more than %zu bytes",
                     SESSIONS_ATTACHMENT_LIMIT);
    str_release(&bytes);
    return ok;
}

// Text, or the list of parts that OpenAI's API has.
static bool add_webui_content(struct conversion *conversion, const json_t *content)
{
    add_json_text(conversion, content);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const char *url = get_string(json_object_get(part, "image_url"), "url");

        add_json_text(conversion, json_object_get(part, "text"));
        if (url != NULL && !add_url(conversion, url, NULL))
            return false;
    }
    return true;
}

static bool convert_open_webui(struct conversion *conversion, const json_t *node)
{
    const json_t *files = json_object_get(node, "files");
    const char *failure = get_string(json_object_get(node, "error"), "content");
    struct import_message *message = &conversion->message;

    if (!role_of(get_string(node, "role"), &message->content.role))
        return true;
    message->created_ms = get_ms(node, "timestamp");
    if (message->content.role == ROLE_ASSISTANT) {
        message->model = get_string(node, "model");
        if (failure != NULL) {
            message->state = MESSAGE_ERROR;
            message->error = failure;
        } else if (json_is_false(json_object_get(node, "done"))) {
            message->state = MESSAGE_INTERRUPTED;
        }
    }
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *type = get_string(file, "type"), *url = get_string(file, "url");

        if (type != NULL && strcmp(type, "image") == 0 && url != NULL &&
            !add_url(conversion, url, get_string(file, "name")))
            return false;
    }
    return add_webui_content(conversion, json_object_get(node, "content"));
}

// Tags are strings, or objects with a name.
static void join_tags(const json_t *tags, struct str *out)
{
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *tag = json_array_get(tags, i);
        const char *name = json_string_value(tag);

        if (name == NULL)
            name = get_string(tag, "name");
        if (name != NULL)
            str_printf(out, "%s%s", out->len > 0 ? "\n" : "", name);
    }
}

bool import_open_webui(struct importer *importer, const json_t *value, struct err *err)
{
    const json_t *chat = json_object_get(value, "chat");
    const json_t *history = json_object_get(chat, "history");
    const char *title = get_string(value, "title"), *id = get_string(value, "id");
    struct str tags;
    bool ok;

    if (!json_is_object(json_object_get(history, "messages")))
        return err_set(err, ERR_FORMAT, "a chat without \"history\"");
    str_init(&tags, 0);
    join_tags(json_object_get(json_object_get(value, "meta"), "tags"), &tags);
    ok = begin(importer, "open-webui", id != NULL ? id : get_string(chat, "id"), value,
               title != NULL ? title : get_string(chat, "title"), "created_at",
               "updated_at", tags.data, err);
    if (ok) {
        ok = import_tree(importer, json_object_get(history, "messages"), "parentId",
                         get_string(history, "currentId"), convert_open_webui, err);
        ok = import_end(importer, ok, err);
    }
    str_release(&tags);
    return ok;
}
