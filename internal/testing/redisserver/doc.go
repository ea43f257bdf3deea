// Package redisserver runs real Redis servers for tests.
package redisserver
