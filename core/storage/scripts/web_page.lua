-- One screenful of a conversation of the web chat, in the order it is shown in.
-- KEYS: messages, order   ARGV: end of the range (exclusive message id, or +), most messages
-- Returns the newest revision, then id and text by turns.
local found = { tonumber(redis.call('HGET', KEYS[1], '#') or '0') }
local ids = redis.call('ZREVRANGEBYLEX', KEYS[2], ARGV[1], '-', 'LIMIT', 0, ARGV[2])
for i = #ids, 1, -1 do
  found[#found + 1] = ids[i]
  found[#found + 1] = redis.call('HGET', KEYS[1], ids[i]) or ''
end
return found
