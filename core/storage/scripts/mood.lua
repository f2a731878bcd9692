-- Counts one message in a cell of its hour and of its day, where members were told that this is done.
-- KEYS: whether they were told, the day's salt, messages counted in that hour, the hour's cell and its people, the
-- day's cell and its people, what was said by few so far, what was said by enough.
-- ARGV: who, which message, a salt should there be none, seconds that salt, hour and day stay open, seconds to keep the
-- cells of hours and of days, seconds to know that members were told, how many people are enough, most words followed,
-- the cell's fields to count, joined by blanks; then words.
-- Answers 1 where members were told.
local told, salted, seen = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', told) == 0 then
  return 0
end
redis.call('EXPIRE', told, ARGV[9])
redis.call('SET', salted, ARGV[3], 'NX', 'EX', ARGV[4])
local salt = redis.call('GET', salted)
-- Once the salt is gone, nobody can tell what a tag was made of.
local function tag(text, length)
  return string.sub(redis.sha1hex(salt .. text), 1, length)
end
if redis.call('SADD', seen, tag('message\n' .. ARGV[2], 16)) == 0 then
  return 1
end
redis.call('EXPIRE', seen, ARGV[5])
local enough = tonumber(ARGV[10])
local function count(cell, people, open, keep)
  redis.call('PFADD', people, tag('person\n' .. ARGV[1], 40))
  redis.call('EXPIRE', people, open)
  local number = redis.call('PFCOUNT', people)
  redis.call('HSET', cell, 'people', number)
  for field in string.gmatch(ARGV[12], '%S+') do
    redis.call('HINCRBY', cell, field, 1)
  end
  -- What only a few took part in is gone as soon as nobody can join them any more.
  redis.call('EXPIRE', cell, number >= enough and keep or open)
end
count(KEYS[4], KEYS[5], ARGV[5], ARGV[7])
count(KEYS[6], KEYS[7], ARGV[6], ARGV[8])
local few, topics, most = KEYS[8], KEYS[9], tonumber(ARGV[11])
for i = 13, #ARGV do
  local word = ARGV[i]
  local field = tag('word\n' .. word, 16)
  local known = redis.call('HGET', few, field)
  if known == '+' then
    redis.call('ZINCRBY', topics, 1, word)
  elseif known or redis.call('HLEN', few) < most then
    -- With the word in it, so that two words do not show that one person said both.
    local mark = tag('said\n' .. ARGV[1] .. '\n' .. word, 8)
    known = known or ''
    if not string.find(known, ',' .. mark, 1, true) then
      known = known .. ',' .. mark
      if #known >= enough * 9 then
        redis.call('ZINCRBY', topics, enough, word)
        known = '+'
      end
      redis.call('HSET', few, field, known)
    end
  end
end
if redis.call('EXISTS', few) == 1 then
  redis.call('EXPIRE', few, ARGV[6])
end
if redis.call('EXISTS', topics) == 1 then
  redis.call('EXPIRE', topics, ARGV[8])
end
return 1
