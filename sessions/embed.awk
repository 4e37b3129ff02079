# sessions/embed.awk
# SPDX-License-Identifier: MIT
#
# Makes C of schema.sql: one string per "-- version N" section, without the comments.
BEGIN {
    print "// Made by sessions/embed.awk from sessions/schema.sql."
    print "#include \"sessions/private.h\"\n"
    print "const char *const schema_steps[] = {"
}
/^-- version [0-9]+$/ {
    if (++steps > 1)
        print "    ,"
    if ($3 != steps) {
        print "sessions/schema.sql: version " $3 " is out of order" > "/dev/stderr"
        exit failed = 1
    }
    next
}
/^--/ || !steps { next }
{
    gsub(/\\/, "\\\\")
    gsub(/"/, "\\\"")
    print "    \"" $0 "\\n\""
}
END {
    if (failed)
        exit 1
    print "};\nconst int schema_version = " steps ";"
}
