package org.lanewise.encoder.backend.cuda;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** The declaration of the C function that a method handle calls, as the header has it. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
@interface Signature {
  /** Returns the declaration; what calls the function follows from it: see {@link Declarations}. */
  String value();
}
