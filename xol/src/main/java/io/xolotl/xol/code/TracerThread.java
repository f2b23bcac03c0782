package io.xolotl.xol.code;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Marks a class that belongs to the tracer thread: Linux answers requests about a process to the thread only
 * that has attached to it, and what is known of the process has that thread as its one owner. A test lets
 * none but such classes, and the few that hand work to that thread, use one.
 */
@Documented
@Retention(RetentionPolicy.CLASS)
@Target(ElementType.TYPE)
public @interface TracerThread {
}
