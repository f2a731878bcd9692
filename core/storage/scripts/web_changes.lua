-- What changed in a conversation of the web chat after a revision, oldest change first.
-- KEYS: messages, revisions   ARGV: revision, most changes
-- Returns the newest revision, then id and text by turns; no text where the message was removed.
local newest = tonumber(redis.call('HGET', KEYS[1], '#') or '0')
local after = tonumber(ARGV[1])
if after > newest then after = 0 end
local ids = redis.call('ZREVRANGEBYSCORE', KEYS[2], '+inf', '(' .. after, 'LIMIT', 0, ARGV[2])
local found = { newest }
for i = #ids, 1, -1 do
  found[#found + 1] = ids[i]
  found[#found + 1] = redis.call('HGET', KEYS[1], ids[i]) or ''
end
return found
