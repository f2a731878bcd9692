-- Counts the waiting entries of one partition anew. In one breath, so that nothing is posted or taken meanwhile.
redis.call('DEL', LOAD)
local prefix, waiting = string.match(READY, '^(.*:)ready$'), 0
for _, conversation in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
  for _, entry in ipairs(redis.call('LRANGE', prefix .. 'box:' .. conversation, 0, -1)) do
    count(space_of(entry), 1)
    waiting = waiting + 1
  end
end
return waiting
