-- Drops what waits where the bot can write no more, and has open turns end without a word.
-- ARGV: conversation, or what the names of several begin with when the second is 1. Answers how many were dropped.
local wanted, is_several, dropped = ARGV[1], ARGV[2] == '1', 0
local prefix = string.match(READY, '^(.*:)ready$')
for _, name in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
  if name == wanted or (is_several and string.sub(name, 1, #wanted) == wanted) then
    BOX, STATE, TURN = prefix .. 'box:' .. name, prefix .. 'state:' .. name, prefix .. 'turn:' .. name
    for _, entry in ipairs(redis.call('LRANGE', BOX, 0, -1)) do
      local album = album_of(entry)
      if album then redis.call('DEL', album) end
      count(space_of(entry), -1)
      dropped = dropped + 1
    end
    redis.call('DEL', BOX)
    redis.call('HDEL', STATE, 'overflow', 'busy')
    if redis.call('EXISTS', TURN) == 1 then
      if redis.call('HEXISTS', TURN, 'interrupt') == 0 then interrupt('left') end
      call_holder(name)
    else
      redis.call('ZREM', READY, name)
    end
  end
end
return dropped
