-- What one person spent counts for another. KEYS: sums of the day and of the month. ARGV: person, the other, 'move' (what
-- the first spent is added to what the other did, and gone there) or 'copy' (the other spent as much, at least).
-- Done twice it comes to the same.
local from, to, way = ARGV[1], ARGV[2], ARGV[3]
if from == to then return 1 end
for _, key in ipairs(KEYS) do
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local whose, thing = string.match(field, '^(.*)(\t[^\t]*)$')
    -- 'person:ID' and 'member:SPACE ID'.
    if whose and (whose == 'person:' .. from or (string.sub(whose, 1, 7) == 'member:'
        and string.sub(whose, -#from - 1) == ' ' .. from)) then
      local other = string.sub(whose, 1, #whose - #from) .. to .. thing
      local spent = redis.call('HGET', key, field)
      if way == 'move' then
        redis.call('HINCRBY', key, other, spent)
        redis.call('HDEL', key, field)
      elseif tonumber(redis.call('HGET', key, other) or 0) < tonumber(spent) then
        redis.call('HSET', key, other, spent)
      end
    end
  end
end
return 1
