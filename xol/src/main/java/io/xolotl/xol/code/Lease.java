package io.xolotl.xol.code;

import org.jspecify.annotations.Nullable;

/**
 * A slot of a {@link CodeArea} in somebody's hands. A slot must not be used anew while any thread can be in
 * it, so it is freed when its tenant has retired it and no thread pins it any more: whichever comes last.
 * Owned by the tracer thread.
 */
@TracerThread
public final class Lease {

  private final CodeArea area;
  private final long address;
  private int pins;
  private boolean retired;
  private @Nullable Object attachment;

  Lease(CodeArea area, long address) {
    this.area = area;
    this.address = address;
  }

  /** Where the slot begins. */
  public long address() {
    return address;
  }

  /** What the tenant has attached. */
  @Nullable
  public Object attachment() {
    return attachment;
  }

  public void attachment(Object tenant) {
    attachment = tenant;
  }

  /** A thread may get into the slot. */
  public void pin() {
    pins++;
  }

  /** A thread that had pinned it is out, and does not come back. */
  public void unpin() {
    pins--;
    freeIfUnused();
  }

  /** No thread gets into it from now on but those that pin it. */
  public void retire() {
    retired = true;
    freeIfUnused();
  }

  private void freeIfUnused() {
    if (retired && pins == 0) {
      area.free(this);
    }
  }
}
