-- Drops what waits where the bot can write no more, and has open turns end without a word.
-- ARGV: conversation, or what the names of several begin with when the second is 1; only those of this space, or '';
-- 1 when what they were about is deleted and may leave no trace. Answers how many were dropped.
local wanted, is_several, space, dropped = ARGV[1], ARGV[2] == '1', ARGV[3], 0
local reason = ARGV[4] == '1' and 'forgotten' or 'left'
local prefix = string.match(READY, '^(.*:)ready$')
local function is_named(name)
  return name == wanted or (is_several and string.sub(name, 1, #wanted) == wanted)
end
local function is_meant(name)
  if not is_named(name) then return false end
  return space == '' or redis.call('HGET', prefix .. 'state:' .. name, 'space') == space
end
for _, name in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
  if is_meant(name) then
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
      if redis.call('HEXISTS', TURN, 'interrupt') == 0 then interrupt(reason) end
      call_holder(name)
    else
      redis.call('ZREM', READY, name)
    end
  end
end
if reason == 'forgotten' then
  for _, member in ipairs(redis.call('ZRANGE', failed(), 0, -1)) do
    if is_named(string.match(member, '^%w+\t([^\t]*)\t') or '') then drop_failed(member) end
  end
end
return dropped
