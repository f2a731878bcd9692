-- Keeps what an attachment was read as, and counts what that took; only once, however often it is run.
-- KEYS: reading, usage. ARGV: JSON, seconds to keep it, model or '', prompt tokens, answer tokens, cost, calls,
--       seconds to keep usage
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) or ARGV[3] == '' then return 0 end
for i, what in ipairs({ 'prompt', 'answer', 'cost', 'calls' }) do
  redis.call('HINCRBY', KEYS[2], ARGV[3] .. ':' .. what, ARGV[3 + i])
end
redis.call('EXPIRE', KEYS[2], ARGV[8])
return 1
