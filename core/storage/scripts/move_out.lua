-- What is to be taken along of a conversation that moved. ARGV: 1 to wait no longer for its open turn, and the names of
-- fields of its state. Answers 'busy' while a worker has that turn; else the fields' values and what waits, in its order.
local is_open = redis.call('HEXISTS', TURN, 'entry') == 1
local name = string.match(STATE, '}:state:(.*)$')
if is_open then
  local lease = tonumber(redis.call('ZSCORE', READY, name) or 0)
  if ARGV[1] ~= '1' and lease > now_ms() then return 'busy' end
  -- Whoever had it is refused from now on.
  redis.call('HINCRBY', STATE, 'fence', 1)
  redis.call('HDEL', STATE, 'holder')
  local why = redis.call('HGET', TURN, 'interrupt')
  if not why or why == 'moved' then put_back() end
  redis.call('DEL', TURN)
end
redis.call('ZREM', READY, name)
local waiting = redis.call('LRANGE', BOX, 0, -1)
for i, entry in ipairs(waiting) do
  local album = album_of(entry)
  if album then waiting[i] = join_album(album, entry, '0') end
end
return { redis.call('HMGET', STATE, unpack(ARGV, 2)), waiting }
