-- Reads keys of one slot in one breath, for a backup. KEYS: any. ARGV: 1 to tell of keys that are not there, too.
-- Answers for each its number, type, time left in ms (-1: none) and value, flat; of one that is not there the type none.
local found = {}
for i, key in ipairs(KEYS) do
  local kind, value = redis.call('TYPE', key)['ok'], {}
  if kind == 'string' then
    value = { redis.call('GET', key) }
  elseif kind == 'list' then
    value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'hash' then
    value = redis.call('HGETALL', key)
  end
  if kind ~= 'none' or ARGV[1] == '1' then table.insert(found, { i, kind, redis.call('PTTL', key), value }) end
end
return found
