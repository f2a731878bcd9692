-- Writes versioned records of one kind, all of them or none. KEYS: the feed of changes, a log (the feed stands in where
-- nothing is logged), then a hash for each record.
-- ARGV: token of this attempt, changes kept in the feed, seconds that the feed is kept; what is logged about it or '',
-- entries kept in the log, seconds that the log is kept; then for each record its id, the version that it is expected
-- to have, its JSON or '' to remove it, and seconds to keep it or 0 for good.
-- Answers the new versions, or an empty list where one of the records has another version than expected.
local token, most, feed_seconds = ARGV[1], ARGV[2], ARGV[3]
local versions = {}
for i = 3, #KEYS do
  local at = 7 + (i - 3) * 4
  local found = redis.call('HMGET', KEYS[i], 'v', 'by')
  -- Written by this attempt already, whose reply got lost.
  if found[2] == token then
    table.insert(versions, tonumber(found[1]))
  elseif ARGV[at + 2] == '' and not found[1] then
    table.insert(versions, 0)
  elseif tonumber(found[1] or 0) ~= tonumber(ARGV[at + 1]) then
    return {}
  end
end
if #versions == #KEYS - 2 then return versions end
versions = {}
for i = 3, #KEYS do
  local at = 7 + (i - 3) * 4
  local version = tonumber(ARGV[at + 1]) + 1
  if ARGV[at + 2] == '' then
    redis.call('DEL', KEYS[i])
    version = 0
  else
    redis.call('HSET', KEYS[i], 'v', version, 'by', token, 'json', ARGV[at + 2])
    if tonumber(ARGV[at + 3]) > 0 then redis.call('EXPIRE', KEYS[i], ARGV[at + 3]) else redis.call('PERSIST', KEYS[i]) end
  end
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', most, '*', 'id', ARGV[at])
  table.insert(versions, version)
end
redis.call('EXPIRE', KEYS[1], feed_seconds)
if ARGV[4] ~= '' then
  -- The server's clock: entries of several machines stand in the order of their times.
  redis.call('LPUSH', KEYS[2], redis.call('TIME')[1] .. ' ' .. ARGV[4])
  redis.call('LTRIM', KEYS[2], 0, ARGV[5] - 1)
  redis.call('EXPIRE', KEYS[2], ARGV[6])
end
return versions
