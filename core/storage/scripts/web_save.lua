-- Keeps or removes one message of the web chat and tells the browsers' processes.
-- KEYS: conversations, titles, messages, order, revisions
-- ARGV: conversation, message id, JSON (empty: remove), lifetime in seconds, most messages, now, channel, text to publish,
--       revision that the message has to have (none or empty: whatever it has)
-- Returns the new revision; 0 when the conversation is gone, -1 when the message has another revision.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if ARGV[9] and ARGV[9] ~= '' then
  local kept = redis.call('HGET', KEYS[3], ARGV[2])
  if not kept or string.match(kept, '^%d+') ~= ARGV[9] then return -1 end
end
local revision = redis.call('HINCRBY', KEYS[3], '#', 1)
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[3], ARGV[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
else
  redis.call('HSET', KEYS[3], ARGV[2], revision .. ' ' .. ARGV[3])
  redis.call('ZADD', KEYS[4], 0, ARGV[2])
end
redis.call('ZADD', KEYS[5], revision, ARGV[2])
local over = redis.call('ZCARD', KEYS[4]) - tonumber(ARGV[5])
if over > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[4], 0, over - 1)) do
    redis.call('HDEL', KEYS[3], id)
    redis.call('ZREM', KEYS[4], id)
    redis.call('ZREM', KEYS[5], id)
  end
end
redis.call('ZADD', KEYS[1], 'GT', ARGV[6], ARGV[1])
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[4]) end
redis.call('PUBLISH', ARGV[7], ARGV[8])
return revision
