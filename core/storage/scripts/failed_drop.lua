-- Drops a dead letter. ARGV: id. Answers 1 if there was one, else 0.
for _, member in ipairs(redis.call('ZRANGE', failed(), 0, -1)) do
  if string.match(member, '^%w+') == ARGV[1] then
    drop_failed(member)
    return 1
  end
end
return 0
