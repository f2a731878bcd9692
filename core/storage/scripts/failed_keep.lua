-- Keeps a dead letter. ARGV: subject, conversation or '', entry, kind, causes, seconds to keep, version.
return keep_failed(unpack(ARGV))
