/* The mark of the functions the library shows; everything else is hidden. */
#ifndef RKPARITY_EMULATOR_EXPORT_H
#define RKPARITY_EMULATOR_EXPORT_H

#define EMU_EXPORT __attribute__((visibility("default")))

#endif
