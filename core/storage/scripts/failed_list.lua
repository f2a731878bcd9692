-- The newest dead letters of a partition. ARGV: most.
-- Answers how many there are, then for each letter its id and its fields.
local index, total, found = failed(), 0, {}
for _, member in ipairs(redis.call('ZREVRANGE', index, 0, -1)) do
  local id = string.match(member, '^%w+')
  local letter = index .. ':' .. id
  if redis.call('EXISTS', letter) == 0 then
    redis.call('ZREM', index, member)
  else
    total = total + 1
    if total <= tonumber(ARGV[1]) then
      table.insert(found, id)
      table.insert(found, redis.call('HGETALL', letter))
    end
  end
end
return { total, unpack(found) }
