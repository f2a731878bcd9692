-- Puts a value in place of another, unless it is another by now. KEYS: its key. ARGV: its type, its field or its place in
-- the list or '', the value, the one in its place. Answers 1 when it was there.
local kind, where, old, new = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if kind == 'hash' then
  if redis.call('HGET', KEYS[1], where) ~= old then return 0 end
  redis.call('HSET', KEYS[1], where, new)
elseif kind == 'list' then
  local at = redis.call('LPOS', KEYS[1], old)
  if not at then return 0 end
  redis.call('LSET', KEYS[1], at, new)
else
  if redis.call('GET', KEYS[1]) ~= old then return 0 end
  redis.call('SET', KEYS[1], new, 'KEEPTTL')
end
return 1
