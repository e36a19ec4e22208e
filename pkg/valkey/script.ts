/**
 * One bucket: a hash of its level (`l`) and when that was true (`t`, milliseconds of the server's clock). A bucket that is full is no
 * key at all, so the server holds only what was used in the last minute. Only the server's clock counts: pods' clocks differ. A clock
 * that goes back refills nothing.
 *
 * KEYS[1] bucket; ARGV capacity, least, most. `least` 0: gives `most` back, or charges it where it is below zero.
 * Answers {granted, what is left, milliseconds until `least` fits}.
 */
export const bucketScript = `
local capacity, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'l', 't')
local level = capacity
if known[1] and known[2] then
  local passed = math.max(0, now - tonumber(known[2]))
  level = math.min(capacity, tonumber(known[1]) + passed * capacity / 60000)
end
local granted, wait = 0, 0
if least == 0 then
  level = math.min(capacity, level + most)
elseif level >= least then
  granted = math.min(math.floor(level), most)
  level = level - granted
else
  wait = math.ceil((least - level) * 60000 / capacity)
end
if level >= capacity then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'l', string.format('%.6f', level), 't', now)
  redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - level) * 60000 / capacity) + 1000)
end
return {granted, math.floor(level), wait}
`;
