// What a bare fork has to load: it says for how many milliseconds its process has lived.
process.send(process.uptime() * 1000)
