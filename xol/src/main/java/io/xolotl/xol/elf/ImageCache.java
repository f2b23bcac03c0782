package io.xolotl.xol.elf;

import java.lang.ref.SoftReference;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Parsed files, shared by all processes that map them. Soft references: symbols of large libraries take tens
 * of megabytes, and can be read again.
 */
final class ImageCache {
  private static final Map<ElfSource.Identity, SoftReference<ElfImage>> IMAGES = new HashMap<>();

  private ImageCache() {}

  /** The headers of a file, read now unless they are known. */
  static ElfImage image(ElfSource source) {
    return switch (source) {
      case ElfSource.InMemory memory -> ElfImage.of(memory);
      case ElfSource.OnDisk file -> {
        ElfImage known = find(file.identity());
        // Two threads may read the same file at the same time; they get equal images.
        yield known != null ? known : keep(file.identity(), ElfImage.of(file));
      }
    };
  }

  static @Nullable ElfImage find(ElfSource.Identity identity) {
    synchronized (IMAGES) {
      SoftReference<ElfImage> reference = IMAGES.get(identity);
      return reference == null ? null : reference.get();
    }
  }

  private static ElfImage keep(ElfSource.Identity identity, ElfImage image) {
    synchronized (IMAGES) {
      IMAGES.values().removeIf(reference -> reference.get() == null);
      IMAGES.put(identity, new SoftReference<>(image));
      return image;
    }
  }
}
